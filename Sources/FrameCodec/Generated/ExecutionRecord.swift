// Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
// swift-format-ignore-file

import MetricKinds

/// An agent ran code in a sandbox. Every field may be absent; see `MetricKind.execution` for the table.
public struct ExecutionRecord: MetricRecord, Equatable {
    public static var kind: MetricKind { .execution }

    /// Microseconds since the Unix epoch, UTC.
    public var time: Int64
    /// The run.
    public var executionID: String?
    /// The agent that ran the code.
    public var agentID: String?
    /// Programming language.
    public var language: String?
    /// Length of the code.
    public var codeLength: Int32?
    /// Time of the run. In milliseconds.
    public var executionTimeMs: Int32?
    /// Memory of the run. In megabytes.
    public var memoryUsedMb: Float?
    /// Processor use of the run. In percent.
    public var cpuUsedPercent: Float?
    /// Whether the run ended without an error.
    public var success: Bool?
    /// What kind of error ended it.
    public var errorType: String?
    /// How often the code was corrected before this run.
    public var correctionsApplied: Int32?
    /// The sandbox that it ran in.
    public var sandboxID: String?
    /// Whether the run was ended for taking too long.
    public var timeoutOccurred: Bool?
    public var tags: Tags?
    public var metadata: Metadata?

    /// A record with only its time set, or with the fields given.
    public init(
        time: Int64,
        executionID: String? = nil,
        agentID: String? = nil,
        language: String? = nil,
        codeLength: Int32? = nil,
        executionTimeMs: Int32? = nil,
        memoryUsedMb: Float? = nil,
        cpuUsedPercent: Float? = nil,
        success: Bool? = nil,
        errorType: String? = nil,
        correctionsApplied: Int32? = nil,
        sandboxID: String? = nil,
        timeoutOccurred: Bool? = nil,
        tags: Tags? = nil,
        metadata: Metadata? = nil
    ) {
        self.time = time
        self.executionID = executionID
        self.agentID = agentID
        self.language = language
        self.codeLength = codeLength
        self.executionTimeMs = executionTimeMs
        self.memoryUsedMb = memoryUsedMb
        self.cpuUsedPercent = cpuUsedPercent
        self.success = success
        self.errorType = errorType
        self.correctionsApplied = correctionsApplied
        self.sandboxID = sandboxID
        self.timeoutOccurred = timeoutOccurred
        self.tags = tags
        self.metadata = metadata
    }

    @inlinable
    public func write(to writer: inout RecordWriter) throws(RecordError) {
        var fields = writer.beginFields()
        defer { writer.fields = fields }
        if let executionID {
            try writer.prefixedText(executionID, bit: 2, slot: 0, &fields)
        }
        if let agentID {
            try writer.text(agentID, bit: 3, &fields)
        }
        if let language {
            try writer.text(language, bit: 4, &fields)
        }
        if let codeLength {
            fields.int32(codeLength, bit: 5)
        }
        if let executionTimeMs {
            fields.int32(executionTimeMs, bit: 6)
        }
        if let memoryUsedMb {
            fields.float32(memoryUsedMb, bit: 7)
        }
        if let cpuUsedPercent {
            fields.float32(cpuUsedPercent, bit: 8)
        }
        if let success {
            fields.bool(success, bit: 9)
        }
        if let errorType {
            try writer.text(errorType, bit: 11, &fields)
        }
        if let correctionsApplied {
            fields.int32(correctionsApplied, bit: 12)
        }
        if let sandboxID {
            try writer.prefixedText(sandboxID, bit: 13, slot: 1, &fields)
        }
        if let timeoutOccurred {
            fields.bool(timeoutOccurred, bit: 14)
        }
    }
}
