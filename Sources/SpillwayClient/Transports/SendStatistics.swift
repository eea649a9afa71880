/// What a transport did with the frames it was given. Control frames, such as heartbeats, count nowhere but in `bytes`.
public struct SendStatistics: Equatable, Sendable {
    /// Record frames that the kernel took.
    public var frames: UInt64 = 0
    /// Their records.
    public var records: UInt64 = 0
    /// Bytes of all frames that the kernel took.
    public var bytes: UInt64 = 0
    /// Record frames that the kernel refused.
    public var framesDropped: UInt64 = 0
    /// Their records.
    public var recordsDropped: UInt64 = 0

    public init() {}
}
