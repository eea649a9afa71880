// What clients say that they sent, beside what came: heartbeats show what gaps alone cannot, a lost head or tail of a session.

/// The totals of sessions that have sent heartbeats.
public struct Reconciliation: Equatable, Sendable {
    /// Sessions that said what they sent and that this run has seen from their beginning.
    public var sessions: UInt64 = 0
    public var framesSent: UInt64 = 0
    public var recordsSent: UInt64 = 0
    /// Records that the clients dropped before they sent them.
    public var recordsDroppedByClient: UInt64 = 0
    /// Sent and not received: lost on the way, in the kernel, or refused.
    public var framesMissing: UInt64 = 0
    public var recordsMissing: UInt64 = 0
    /// Sessions that had begun before this run: what the run before received of them is not known here.
    public var sessionsBegunBefore: UInt64 = 0

    public init() {}

    public mutating func add(_ other: Reconciliation) {
        sessions &+= other.sessions
        framesSent = framesSent.addingSaturating(other.framesSent)
        recordsSent = recordsSent.addingSaturating(other.recordsSent)
        recordsDroppedByClient = recordsDroppedByClient.addingSaturating(other.recordsDroppedByClient)
        framesMissing = framesMissing.addingSaturating(other.framesMissing)
        recordsMissing = recordsMissing.addingSaturating(other.recordsMissing)
        sessionsBegunBefore &+= other.sessionsBegunBefore
    }
}

/// What a client said last of a session.
struct SessionReport {
    let framesSent: UInt64
    let recordsSent: UInt64
    let recordsDropped: UInt64
}
