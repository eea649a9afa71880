// Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
// swift-format-ignore-file

import MetricKinds

/// A model computed attention in one layer. Every field may be absent; see `MetricKind.attention` for the table.
public struct AttentionRecord: MetricRecord, Equatable {
    public static var kind: MetricKind { .attention }

    /// Microseconds since the Unix epoch, UTC.
    public var time: Int64
    /// The model.
    public var modelID: String?
    /// Number of the layer.
    public var layerID: Int32?
    /// Heads of the layer.
    public var attentionHeads: Int32?
    /// Which positions attend to which.
    public var attentionPattern: String?
    /// Entropy of the attention weights.
    public var attentionEntropy: Float?
    /// How concentrated the attention is.
    public var attentionFocus: Float?
    /// How much the heads differ.
    public var attentionDiversity: Float?
    /// Time of the layer. In milliseconds.
    public var computationTimeMs: Int32?
    /// Memory of the layer. In megabytes.
    public var memoryUsageMb: Float?
    public var tags: Tags?
    public var metadata: Metadata?

    /// A record with only its time set, or with the fields given.
    public init(
        time: Int64,
        modelID: String? = nil,
        layerID: Int32? = nil,
        attentionHeads: Int32? = nil,
        attentionPattern: String? = nil,
        attentionEntropy: Float? = nil,
        attentionFocus: Float? = nil,
        attentionDiversity: Float? = nil,
        computationTimeMs: Int32? = nil,
        memoryUsageMb: Float? = nil,
        tags: Tags? = nil,
        metadata: Metadata? = nil
    ) {
        self.time = time
        self.modelID = modelID
        self.layerID = layerID
        self.attentionHeads = attentionHeads
        self.attentionPattern = attentionPattern
        self.attentionEntropy = attentionEntropy
        self.attentionFocus = attentionFocus
        self.attentionDiversity = attentionDiversity
        self.computationTimeMs = computationTimeMs
        self.memoryUsageMb = memoryUsageMb
        self.tags = tags
        self.metadata = metadata
    }

    @inlinable
    public func write(to writer: inout RecordWriter) throws(RecordError) {
        var fields = writer.beginFields()
        defer { writer.fields = fields }
        if let modelID {
            try writer.text(modelID, bit: 2, &fields)
        }
        if let layerID {
            fields.int32(layerID, bit: 3)
        }
        if let attentionHeads {
            fields.int32(attentionHeads, bit: 4)
        }
        if let attentionPattern {
            try writer.text(attentionPattern, bit: 5, &fields)
        }
        if let attentionEntropy {
            fields.float32(attentionEntropy, bit: 6)
        }
        if let attentionFocus {
            fields.float32(attentionFocus, bit: 7)
        }
        if let attentionDiversity {
            fields.float32(attentionDiversity, bit: 8)
        }
        if let computationTimeMs {
            fields.int32(computationTimeMs, bit: 9)
        }
        if let memoryUsageMb {
            fields.float32(memoryUsageMb, bit: 10)
        }
    }
}
