/// What a transport did with the frames it was given. Control frames, such as heartbeats, count nowhere: these are
/// the totals that heartbeats report.
public struct SendStatistics: Equatable, Sendable {
    /// Record frames that the kernel took.
    public var frames: UInt64 = 0
    /// Their records.
    public var records: UInt64 = 0
    /// Their bytes, with headers.
    public var bytes: UInt64 = 0
    /// Record frames that the kernel refused.
    public var framesDropped: UInt64 = 0
    /// Their records.
    public var recordsDropped: UInt64 = 0

    public init() {}
}
