/// The totals of an acknowledging client: given = acknowledged + refused + open.
public struct AcknowledgementStatistics: Equatable, Sendable {
    /// Frames given, and their records and bytes.
    public var frames: UInt64 = 0
    public var records: UInt64 = 0
    public var bytes: UInt64 = 0
    public var framesAcknowledged: UInt64 = 0
    public var recordsAcknowledged: UInt64 = 0
    /// Of the acknowledged ones, those that this sender had not written: another one stored frames with the same source, session
    /// and sequences, which may have other records.
    public var framesStoredEarlier: UInt64 = 0
    public var recordsStoredEarlier: UInt64 = 0
    public var framesRefused: UInt64 = 0
    public var recordsRefused: UInt64 = 0
    /// Frames that were written again.
    public var framesResent: UInt64 = 0
    /// Connections after the first one.
    public var reconnects: UInt64 = 0
    /// Sessions after the first one, each begun because the collector could not remember a frame of the one before.
    public var sessionsRenewed: UInt64 = 0

    public init() {}
}
