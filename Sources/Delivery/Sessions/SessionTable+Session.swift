// What the book remembers of one session.

import FrameCodec

extension SessionTable {
    struct Session {
        /// On their way or durable.
        var accepted = SequenceRanges()
        /// Committed, or synced to the spill.
        var durable = SequenceRanges()
        /// Durable, and not acknowledged to `connection` yet.
        var unacknowledged = SequenceRanges()
        /// The connections on which it is open, in the order of their opening: the last one gets the acknowledgements.
        var connections: [UInt64] = []
        /// The database was not asked since the session was opened on a connection.
        var needsLookup = false

        var connection: UInt64? { connections.last }
        /// All that is known of it is known to the database or to the spill as well.
        var canBeForgotten: Bool { connections.isEmpty && accepted == durable }
    }
}

extension SessionTable.Session {
    mutating func admit(_ sequence: UInt64, rangesMax: Int) -> FrameAdmission {
        guard !accepted.contains(sequence) else {
            if durable.contains(sequence) { acknowledge(sequence..<sequence + 1) }
            return .resent
        }
        accepted.insert(sequence)
        forgetLowestRanges(rangesMax: rangesMax)
        guard accepted.ranges.count <= rangesMax else {
            accepted.remove(sequence)
            return .crowded
        }
        return .fresh
    }

    /// Forgets the lowest ranges that are durable, while there are too many. The gaps between them are what makes a session
    /// large; the frames of those ranges are what a client is least likely to send again.
    mutating func forgetLowestRanges(rangesMax: Int) {
        guard accepted.ranges.count > rangesMax else { return }
        // More than are needed, so that a session at the limit is searched once for an eighth of it.
        let target = max(1, rangesMax - rangesMax / 8)
        let lowest = accepted.ranges.lazy.filter { [durable] in durable.contains($0) }.prefix(
            accepted.ranges.count - target)
        for range in Array(lowest) {
            accepted.remove(range)
            durable.remove(range)
        }
    }

    /// Notes that the client is to hear of it. Without a connection the next welcome says it.
    mutating func acknowledge(_ range: Range<UInt64>) {
        if connection != nil { unacknowledged.insert(range) }
    }
}
