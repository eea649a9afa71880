// Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
// swift-format-ignore-file

import MetricKinds

/// A model did a unit of work. Every field may be absent; see `MetricKind.compute` for the table.
public struct ComputeRecord: MetricRecord, Equatable {
    public static var kind: MetricKind { .compute }

    /// Microseconds since the Unix epoch, UTC.
    public var time: Int64
    /// The model.
    public var modelID: String?
    /// What the model did. Known values: inference, training, fine-tuning.
    public var operationType: String?
    /// Sequences computed together.
    public var batchSize: Int32?
    /// Length of each sequence.
    public var sequenceLength: Int32?
    /// Tokens of the whole batch. In tokens.
    public var tokensProcessed: Int64?
    /// Time of the batch. In milliseconds.
    public var computationTimeMs: Int32?
    /// Share of the GPU in use. In percent.
    public var gpuUtilizationPercent: Float?
    /// GPU memory in use. In megabytes.
    public var gpuMemoryUsedMb: Float?
    /// Share of the processors in use. In percent.
    public var cpuUtilizationPercent: Float?
    /// Main memory in use. In megabytes.
    public var cpuMemoryUsedMb: Float?
    /// Tokens processed in a second. In tokens per second.
    public var throughputTokensPerSec: Float?
    /// Median latency. In milliseconds.
    public var latencyP50Ms: Float?
    /// Latency that 95 of 100 requests stayed below. In milliseconds.
    public var latencyP95Ms: Float?
    /// Latency that 99 of 100 requests stayed below. In milliseconds.
    public var latencyP99Ms: Float?
    public var tags: Tags?
    public var metadata: Metadata?

    /// A record with only its time set, or with the fields given.
    public init(
        time: Int64,
        modelID: String? = nil,
        operationType: String? = nil,
        batchSize: Int32? = nil,
        sequenceLength: Int32? = nil,
        tokensProcessed: Int64? = nil,
        computationTimeMs: Int32? = nil,
        gpuUtilizationPercent: Float? = nil,
        gpuMemoryUsedMb: Float? = nil,
        cpuUtilizationPercent: Float? = nil,
        cpuMemoryUsedMb: Float? = nil,
        throughputTokensPerSec: Float? = nil,
        latencyP50Ms: Float? = nil,
        latencyP95Ms: Float? = nil,
        latencyP99Ms: Float? = nil,
        tags: Tags? = nil,
        metadata: Metadata? = nil
    ) {
        self.time = time
        self.modelID = modelID
        self.operationType = operationType
        self.batchSize = batchSize
        self.sequenceLength = sequenceLength
        self.tokensProcessed = tokensProcessed
        self.computationTimeMs = computationTimeMs
        self.gpuUtilizationPercent = gpuUtilizationPercent
        self.gpuMemoryUsedMb = gpuMemoryUsedMb
        self.cpuUtilizationPercent = cpuUtilizationPercent
        self.cpuMemoryUsedMb = cpuMemoryUsedMb
        self.throughputTokensPerSec = throughputTokensPerSec
        self.latencyP50Ms = latencyP50Ms
        self.latencyP95Ms = latencyP95Ms
        self.latencyP99Ms = latencyP99Ms
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
        if let operationType {
            try writer.text(operationType, bit: 3, &fields)
        }
        if let batchSize {
            fields.int32(batchSize, bit: 4)
        }
        if let sequenceLength {
            fields.int32(sequenceLength, bit: 5)
        }
        if let tokensProcessed {
            fields.int64(tokensProcessed, bit: 6)
        }
        if let computationTimeMs {
            fields.int32(computationTimeMs, bit: 7)
        }
        if let gpuUtilizationPercent {
            fields.float32(gpuUtilizationPercent, bit: 8)
        }
        if let gpuMemoryUsedMb {
            fields.float32(gpuMemoryUsedMb, bit: 9)
        }
        if let cpuUtilizationPercent {
            fields.float32(cpuUtilizationPercent, bit: 10)
        }
        if let cpuMemoryUsedMb {
            fields.float32(cpuMemoryUsedMb, bit: 11)
        }
        if let throughputTokensPerSec {
            fields.float32(throughputTokensPerSec, bit: 12)
        }
        if let latencyP50Ms {
            fields.float32(latencyP50Ms, bit: 13)
        }
        if let latencyP95Ms {
            fields.float32(latencyP95Ms, bit: 14)
        }
        if let latencyP99Ms {
            fields.float32(latencyP99Ms, bit: 15)
        }
    }
}
