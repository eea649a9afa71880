// What clients say that they sent, beside what came: heartbeats show what gaps alone cannot, a lost head or tail of a
// session.

import FrameCodec

/// The totals of sessions that have sent heartbeats.
package struct Reconciliation: Equatable, Sendable {
    /// Sessions that said what they sent and that this run has seen from their beginning.
    package var sessions: UInt64 = 0
    package var framesSent: UInt64 = 0
    package var recordsSent: UInt64 = 0
    /// Records that the clients dropped before they sent them.
    package var recordsDroppedByClient: UInt64 = 0
    /// Sent and not received: lost on the way, in the kernel, or refused.
    package var framesMissing: UInt64 = 0
    package var recordsMissing: UInt64 = 0
    /// Sessions of which an earlier run, or an account that was evicted, has or may have received a part. Nothing else
    /// here includes what they sent since.
    package var sessionsBegunBefore: UInt64 = 0
    /// False once a session was evicted while it could still send, or one came that may have been evicted before. What
    /// is missing is then the least that was lost, and the totals are the least that was sent.
    package var isExact = true

    package init() {}

    package mutating func add(_ other: Reconciliation) {
        sessions &+= other.sessions
        framesSent = framesSent.addingSaturating(other.framesSent)
        recordsSent = recordsSent.addingSaturating(other.recordsSent)
        recordsDroppedByClient = recordsDroppedByClient.addingSaturating(other.recordsDroppedByClient)
        framesMissing = framesMissing.addingSaturating(other.framesMissing)
        recordsMissing = recordsMissing.addingSaturating(other.recordsMissing)
        sessionsBegunBefore &+= other.sessionsBegunBefore
        isExact = isExact && other.isExact
    }
}

/// What a client said last of a session.
struct SessionReport {
    static let none = SessionReport(framesSent: 0, recordsSent: 0, recordsDropped: 0)

    let framesSent: UInt64
    let recordsSent: UInt64
    let recordsDropped: UInt64

    /// A million records a second for 12 days.
    private static let recordsDroppedMax: UInt64 = 1 << 40

    /// Whether any session can have these totals.
    var isPossible: Bool {
        // One frame more: a client may count its records before the frame that they are in.
        let (recordsMax, overflow) = (framesSent &+ 1).multipliedReportingOverflow(
            by: UInt64(FrameLimits.recordsPerFrameMax))
        return framesSent <= SequenceReach.sequenceMax && (overflow || recordsSent <= recordsMax)
            && recordsDropped <= Self.recordsDroppedMax
    }
}
