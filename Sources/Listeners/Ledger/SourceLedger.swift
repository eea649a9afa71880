// What the ledger keeps of one source: its counters and the windows of its latest sessions.

/// One source's part of the ledger. Its shard's lock guards it.
struct SourceLedger {
    struct Session {
        let id: UInt64
        var window = SequenceWindow()
    }

    let source: UInt64
    var counts = LedgerCounts()
    var lastPeer: PeerAddress
    var lastSeenMicroseconds: Int64
    /// The most recently used first.
    private(set) var sessions: [Session] = []
    /// Sessions seen so far; one that comes back after its window was dropped counts again.
    private(set) var sessionsSeen: UInt64 = 0
    /// Gaps of sessions whose windows were dropped: final.
    private var closedGapFrames: UInt64 = 0

    init(source: UInt64, peer: PeerAddress, nowMicroseconds: Int64) {
        self.source = source
        lastPeer = peer
        lastSeenMicroseconds = nowMicroseconds
    }

    /// Saturates: a hostile sequence makes a gap of nearly 2^64 by itself.
    var sequenceGapFrames: UInt64 {
        sessions.reduce(closedGapFrames) { $0.addingSaturating($1.window.missingFrames) }
    }

    /// Asks the session's window; the one used longest ago makes room for a new session beyond `sessionsMax`.
    /// O(`sessionsMax`), allocates for a new session only.
    mutating func observe(session: UInt64, sequence: UInt64, sessionsMax: Int) -> SequenceVerdict {
        guard sequence != 0 else { return .uncounted }
        if let first = sessions.first, first.id == session {
            return sessions[0].window.observe(sequence)
        }
        if let index = sessions.firstIndex(where: { $0.id == session }) {
            for place in stride(from: index, to: 0, by: -1) { sessions.swapAt(place, place - 1) }
        } else {
            if sessions.count >= sessionsMax {
                closedGapFrames = closedGapFrames.addingSaturating(sessions.removeLast().window.missingFrames)
            }
            sessions.insert(Session(id: session), at: 0)
            sessionsSeen &+= 1
        }
        return sessions[0].window.observe(sequence)
    }
}

extension UInt64 {
    func addingSaturating(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
