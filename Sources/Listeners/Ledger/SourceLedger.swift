// What the ledger keeps of one source: its counters and the windows of its latest sessions.

/// One source's part of the ledger. Its shard's lock guards it.
struct SourceLedger {
    struct Session {
        let id: UInt64
        var window = SequenceWindow()
        /// Accepted frames and their records.
        var frames: UInt64 = 0
        var records: UInt64 = 0
        /// Its latest heartbeat.
        var report: SessionReport?
        /// An earlier run of the collector has received a part of it.
        var beganBefore = false

        var reconciliation: Reconciliation {
            var result = Reconciliation()
            guard let report else { return result }
            guard !beganBefore else {
                result.sessionsBegunBefore = 1
                return result
            }
            result.sessions = 1
            result.framesSent = report.framesSent
            result.recordsSent = report.recordsSent
            result.recordsDroppedByClient = report.recordsDropped
            // More came than was reported when frames are on their way behind the heartbeat.
            result.framesMissing = report.framesSent - min(frames, report.framesSent)
            result.recordsMissing = report.recordsSent - min(records, report.recordsSent)
            return result
        }
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
    private var closedReconciliation = Reconciliation()

    init(source: UInt64, peer: PeerAddress, nowMicroseconds: Int64) {
        self.source = source
        lastPeer = peer
        lastSeenMicroseconds = nowMicroseconds
    }

    /// Saturates: a hostile sequence makes a gap of nearly 2^64 by itself.
    var sequenceGapFrames: UInt64 {
        sessions.reduce(closedGapFrames) { $0.addingSaturating($1.window.missingFrames) }
    }

    /// Of all sessions so far.
    var reconciliation: Reconciliation {
        sessions.reduce(into: closedReconciliation) { $0.add($1.reconciliation) }
    }

    /// Notes a heartbeat.
    ///
    /// - Parameter isEarly: the collector has started only now: a session that is new here may be an old one.
    mutating func report(_ report: SessionReport, session: UInt64, sessionsMax: Int, isEarly: Bool) {
        touch(session, sessionsMax: sessionsMax, beganBefore: isEarly && report.framesSent > 0)
        sessions[0].report = report
    }

    /// Counts an accepted frame of the session that was observed last.
    mutating func accepted(_ arrival: FrameArrival) {
        guard arrival.identity.sequence != 0, sessions.first?.id == arrival.identity.session else { return }
        sessions[0].frames &+= 1
        sessions[0].records &+= UInt64(arrival.recordCount)
    }

    /// Asks the session's window; the one used longest ago makes room for a new session beyond `sessionsMax`.
    /// O(`sessionsMax`), allocates for a new session only.
    mutating func observe(session: UInt64, sequence: UInt64, sessionsMax: Int, isEarly: Bool = false) -> SequenceVerdict
    {
        guard sequence != 0 else { return .uncounted }
        if let first = sessions.first, first.id == session {
            return sessions[0].window.observe(sequence)
        }
        touch(session, sessionsMax: sessionsMax, beganBefore: isEarly && sequence > 1)
        return sessions[0].window.observe(sequence)
    }

    /// Brings the session to the front, where it is made if it is new.
    private mutating func touch(_ session: UInt64, sessionsMax: Int, beganBefore: Bool) {
        if let index = sessions.firstIndex(where: { $0.id == session }) {
            for place in stride(from: index, to: 0, by: -1) { sessions.swapAt(place, place - 1) }
            return
        }
        if sessions.count >= sessionsMax {
            let oldest = sessions.removeLast()
            closedGapFrames = closedGapFrames.addingSaturating(oldest.window.missingFrames)
            closedReconciliation.add(oldest.reconciliation)
        }
        sessions.insert(Session(id: session, beganBefore: beganBefore), at: 0)
        sessionsSeen &+= 1
    }
}

extension UInt64 {
    func addingSaturating(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
