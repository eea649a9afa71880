// Whether a connection still carries bytes: when a heartbeat is due, and when a connection without an answer is dead.
// No I/O and no clock.
//
// A missing acknowledgement proves nothing: a collector whose spill is full acknowledges nothing for hours. A missing answer to a
// heartbeat does, because a collector answers each one with an acknowledgement, an empty one where nothing is new, and sends one
// from time to time while it cannot read. Collectors of before that rule never send an empty acknowledgement. A connection to one
// of them, once it gave its welcome, is never declared dead here: the kernel's keepalive and retransmission limits apply.
//
// Limit: a dead connection is detected two intervals after the heartbeat that got no answer.

/// The liveness of one connection.
struct ConnectionLiveness {
    static let intervalMillisecondsDefault = 10_000

    let intervalNanoseconds: UInt64
    /// The collector sent an empty acknowledgement on this connection.
    private var answersHeartbeats = false
    /// A byte came on this connection.
    private var hasReceived = false
    /// Since when a heartbeat has been due or sent with no byte after it.
    private var unansweredSinceNanoseconds: UInt64?
    private var nextHeartbeatNanoseconds: UInt64 = 0

    init(intervalMilliseconds: Int) { intervalNanoseconds = UInt64(max(intervalMilliseconds, 1)) * 1_000_000 }

    /// How long a connection may stay without a byte.
    var silenceMilliseconds: Int32 { Int32(clamping: 2 * intervalNanoseconds / 1_000_000) }

    /// Another connection has begun.
    mutating func connected() { self = ConnectionLiveness(intervalMilliseconds: Int(intervalNanoseconds / 1_000_000)) }

    func isHeartbeatDue(nowNanoseconds now: UInt64) -> Bool { now >= nextHeartbeatNanoseconds }

    /// A heartbeat is due or on its way. Counts from the first one without an answer: a socket that takes no bytes keeps
    /// the heartbeat from being written at all.
    mutating func heartbeat(nowNanoseconds now: UInt64) {
        if unansweredSinceNanoseconds == nil { unansweredSinceNanoseconds = now }
        nextHeartbeatNanoseconds = now &+ intervalNanoseconds
    }

    mutating func received() {
        hasReceived = true
        unansweredSinceNanoseconds = nil
    }

    /// - Parameter durable: what an acknowledgement reports.
    mutating func acknowledged(_ durable: SequenceRanges) {
        if durable.isEmpty { answersHeartbeats = true }
    }

    /// Whether the connection is to be replaced, if a frame waits for its acknowledgement on it. Read before this is asked.
    func isDead(nowNanoseconds now: UInt64) -> Bool {
        // Every collector answers the first heartbeat, with a welcome.
        guard answersHeartbeats || !hasReceived, let since = unansweredSinceNanoseconds, now > since else {
            return false
        }
        return now - since >= 2 * intervalNanoseconds
    }
}
