// Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
// swift-format-ignore-file

import MetricKinds

/// An agent used its memory. Every field may be absent; see `MetricKind.memory` for the table.
public struct MemoryRecord: MetricRecord, Equatable {
    public static var kind: MetricKind { .memory }

    /// Microseconds since the Unix epoch, UTC.
    public var time: Int64
    /// The agent that used its memory.
    public var agentID: String?
    /// The kind of memory.
    public var memoryType: String?
    /// What was done. Known values: read, write, compress, prune.
    public var memoryOperation: String?
    /// Size of what was read or written. In bytes.
    public var memorySizeBytes: Int64?
    /// The same in tokens. In tokens.
    public var memoryTokens: Int32?
    /// Time of the operation. In milliseconds.
    public var operationTimeMs: Int32?
    /// Whether the read was answered from a cache.
    public var cacheHit: Bool?
    /// Size before compression divided by size after it.
    public var compressionRatio: Float?
    /// How important the entry is to the agent.
    public var importanceScore: Float?
    /// How often the entry was used.
    public var accessCount: Int32?
    public var tags: Tags?
    public var metadata: Metadata?

    /// A record with only its time set, or with the fields given.
    public init(
        time: Int64,
        agentID: String? = nil,
        memoryType: String? = nil,
        memoryOperation: String? = nil,
        memorySizeBytes: Int64? = nil,
        memoryTokens: Int32? = nil,
        operationTimeMs: Int32? = nil,
        cacheHit: Bool? = nil,
        compressionRatio: Float? = nil,
        importanceScore: Float? = nil,
        accessCount: Int32? = nil,
        tags: Tags? = nil,
        metadata: Metadata? = nil
    ) {
        self.time = time
        self.agentID = agentID
        self.memoryType = memoryType
        self.memoryOperation = memoryOperation
        self.memorySizeBytes = memorySizeBytes
        self.memoryTokens = memoryTokens
        self.operationTimeMs = operationTimeMs
        self.cacheHit = cacheHit
        self.compressionRatio = compressionRatio
        self.importanceScore = importanceScore
        self.accessCount = accessCount
        self.tags = tags
        self.metadata = metadata
    }

    @inlinable
    public func write(to writer: inout RecordWriter) throws(RecordError) {
        var fields = writer.beginFields()
        defer { writer.fields = fields }
        if let agentID {
            try writer.text(agentID, bit: 2, &fields)
        }
        if let memoryType {
            try writer.text(memoryType, bit: 3, &fields)
        }
        if let memoryOperation {
            try writer.text(memoryOperation, bit: 4, &fields)
        }
        if let memorySizeBytes {
            fields.int64(memorySizeBytes, bit: 5)
        }
        if let memoryTokens {
            fields.int32(memoryTokens, bit: 6)
        }
        if let operationTimeMs {
            fields.int32(operationTimeMs, bit: 7)
        }
        if let cacheHit {
            fields.bool(cacheHit, bit: 8)
        }
        if let compressionRatio {
            fields.float32(compressionRatio, bit: 10)
        }
        if let importanceScore {
            fields.float32(importanceScore, bit: 11)
        }
        if let accessCount {
            fields.int32(accessCount, bit: 12)
        }
    }
}
