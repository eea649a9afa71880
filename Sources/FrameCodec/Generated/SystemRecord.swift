// Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
// swift-format-ignore-file

import MetricKinds

/// A host or service reported its load. Every field may be absent; see `MetricKind.system` for the table.
public struct SystemRecord: MetricRecord, Equatable {
    public static var kind: MetricKind { .system }

    /// Microseconds since the Unix epoch, UTC.
    public var time: Int64
    /// The host or service.
    public var systemID: String?
    /// Share of the processors in use. In percent.
    public var cpuUsagePercent: Float?
    /// Share of the memory in use. In percent.
    public var memoryUsagePercent: Float?
    /// Share of the disk in use. In percent.
    public var diskUsagePercent: Float?
    /// Received and sent since the start of the host. In bytes.
    public var networkIoBytes: Int64?
    /// Open connections.
    public var activeConnections: Int32?
    /// Agents at work.
    public var activeAgents: Int32?
    /// Requests since the start.
    public var totalRequests: Int64?
    /// Share of requests that failed.
    public var errorRate: Float?
    /// Average time of an answer. In milliseconds.
    public var responseTimeAvgMs: Float?
    /// Requests answered in a second. In requests per second.
    public var throughputRequestsPerSec: Float?
    public var tags: Tags?
    public var metadata: Metadata?

    /// A record with only its time set, or with the fields given.
    public init(
        time: Int64,
        systemID: String? = nil,
        cpuUsagePercent: Float? = nil,
        memoryUsagePercent: Float? = nil,
        diskUsagePercent: Float? = nil,
        networkIoBytes: Int64? = nil,
        activeConnections: Int32? = nil,
        activeAgents: Int32? = nil,
        totalRequests: Int64? = nil,
        errorRate: Float? = nil,
        responseTimeAvgMs: Float? = nil,
        throughputRequestsPerSec: Float? = nil,
        tags: Tags? = nil,
        metadata: Metadata? = nil
    ) {
        self.time = time
        self.systemID = systemID
        self.cpuUsagePercent = cpuUsagePercent
        self.memoryUsagePercent = memoryUsagePercent
        self.diskUsagePercent = diskUsagePercent
        self.networkIoBytes = networkIoBytes
        self.activeConnections = activeConnections
        self.activeAgents = activeAgents
        self.totalRequests = totalRequests
        self.errorRate = errorRate
        self.responseTimeAvgMs = responseTimeAvgMs
        self.throughputRequestsPerSec = throughputRequestsPerSec
        self.tags = tags
        self.metadata = metadata
    }

    @inlinable
    public func write(to writer: inout RecordWriter) throws(RecordError) {
        var fields = writer.beginFields()
        defer { writer.fields = fields }
        if let systemID {
            try writer.text(systemID, bit: 2, &fields)
        }
        if let cpuUsagePercent {
            fields.float32(cpuUsagePercent, bit: 3)
        }
        if let memoryUsagePercent {
            fields.float32(memoryUsagePercent, bit: 4)
        }
        if let diskUsagePercent {
            fields.float32(diskUsagePercent, bit: 5)
        }
        if let networkIoBytes {
            fields.int64(networkIoBytes, bit: 6)
        }
        if let activeConnections {
            fields.int32(activeConnections, bit: 7)
        }
        if let activeAgents {
            fields.int32(activeAgents, bit: 8)
        }
        if let totalRequests {
            fields.int64(totalRequests, bit: 9)
        }
        if let errorRate {
            fields.float32(errorRate, bit: 10)
        }
        if let responseTimeAvgMs {
            fields.float32(responseTimeAvgMs, bit: 11)
        }
        if let throughputRequestsPerSec {
            fields.float32(throughputRequestsPerSec, bit: 12)
        }
    }
}
