// What the accounting keeps of one source: its counters, and the totals of its sessions that were evicted.

import FrameCodec
import LinuxSystem

/// One source's part of the accounting. Its shard's lock guards it.
struct SourceAccount {
    // What a frame touches is at the beginning, together with the first counters.
    let source: UInt64
    /// The highest sequence of an evicted session with losses: a later frame may be one of those that seemed lost.
    private var closedLossHighest: UInt64 = 0
    var lastSeenMicroseconds: Int64
    var lastPeer: PeerAddress
    var counts = Counts()
    /// Sessions seen so far. One that comes back after its eviction counts once, as long as the eviction is remembered.
    private(set) var sessionsSeen: UInt64 = 0
    /// Of evicted sessions.
    private(set) var closedGapFrames: UInt64 = 0
    private(set) var closedReconciliation = Reconciliation()
    /// What its heartbeats say that it is called.
    private(set) var name: SourceName?
    /// The last frame that none of its sessions can have reached.
    private var lastLeap: Leap?

    private struct Leap {
        let session: UInt64
        let sequence: UInt64
        let records: Int32
    }

    init(source: UInt64, peer: PeerAddress, nowMicroseconds: Int64) {
        self.source = source
        lastPeer = peer
        lastSeenMicroseconds = nowMicroseconds
    }

    var hasEvictedSessions: Bool { counts[.sessionsEvicted] > 0 }

    /// Counts frames of this source in order, up to the first of a session that has no account yet.
    /// There is one at least. O(frames); it allocates nothing.
    ///
    /// - Parameter owner: its own place in the shard.
    /// - Returns: the index of that frame, or the end of the run.
    mutating func receive(
        _ arrivals: inout [FrameArrival], _ run: Range<Int>, owner: Int, at time: Int64,
        nowMicroseconds: Int64, _ sessions: inout SessionStore
    ) -> Int {
        // The account of the frame before: nothing in this loop removes it.
        var last: (session: UInt64, account: Int)?
        for index in run {
            let identity = arrivals[index].identity
            var verdict = SequenceVerdict.uncounted
            if identity.sequence != 0 {
                let account: Int
                if let last, last.session == identity.session {
                    account = last.account
                } else {
                    guard let place = sessions.place(of: SessionKey(identity), owner: owner) else { return index }
                    account = place
                    last = (identity.session, place)
                }
                verdict = sessions.accounts[account].pointee.receive(
                    identity.sequence, records: arrivals[index].recordCount, judged: arrivals[index].verdict, at: time)
                if verdict == .uncounted { verdict = leap(arrivals[index], &sessions.accounts[account].pointee) }
                if identity.sequence <= closedLossHighest, verdict != .duplicate,
                    sessions.accounts[account].pointee.takeLateFrame()
                {
                    takeOffLosses(records: arrivals[index].recordCount)
                }
            }
            arrivals[index].verdict = verdict
            counts.add(arrivals[index])
            if arrivals[index].beginsDatagram { counts.add(1, to: .datagramsReceived) }
        }
        lastPeer = arrivals[run.upperBound - 1].peer
        lastSeenMicroseconds = nowMicroseconds
        return run.upperBound
    }

    /// Opens the account of a session that has none.
    ///
    /// - Parameters:
    ///   - owner: its own place in the shard.
    ///   - first: the sequence of its first frame here, or the one after those that its first heartbeat reports.
    ///   - isEarly: the collector has started only now, so the session may be an old one.
    mutating func open(
        _ session: UInt64, owner: Int, first: UInt64, isEarly: Bool, at time: Int64, _ sessions: inout SessionStore
    ) {
        let hasBegun = first > 1 && first <= SequenceReach.sequenceMax
        // So many frames are not lost at once: an earlier run or another collector has them.
        let isFarFromBeginning = hasBegun && first > SequenceReach.burstFramesMax
        let key = SessionKey(source: source, session: session)
        let wasEvicted = sessions.wasEvicted(key)
        var beginning = SessionAccount.Beginning.seen
        if wasEvicted || (hasEvictedSessions && hasBegun) {
            beginning = .evicted
            closedReconciliation.isExact = false
        } else if (isEarly && hasBegun) || isFarFromBeginning {
            beginning = .beforeRun
        }
        let account = SessionAccount(
            session: session, owner: Int32(owner), beginning: beginning, mayHaveLateFrames: wasEvicted,
            lastUsed: time)
        sessions.insert(account, key)
        if !wasEvicted { sessionsSeen &+= 1 }
    }

    /// A frame came whose sequence its session cannot have reached. One such frame changes nothing else. Two of them close
    /// together say that the session does go on there (RFC 3550, appendix A.1, has the same rule).
    ///
    /// - Returns: the frame's verdict.
    @inline(never)
    private mutating func leap(_ arrival: FrameArrival, _ account: inout SessionAccount) -> SequenceVerdict {
        let (session, sequence) = (arrival.identity.session, arrival.identity.sequence)
        guard sequence <= SequenceReach.sequenceMax else { return .uncounted }
        let here = Leap(session: session, sequence: sequence, records: arrival.recordCount)
        guard let last = lastLeap, last.session == session, last.sequence != sequence,
            max(last.sequence, sequence) - min(last.sequence, sequence) < UInt64(SequenceWindow.widthFrames)
        else {
            lastLeap = here
            return .uncounted
        }
        lastLeap = nil
        closedGapFrames = closedGapFrames.addingSaturating(account.gapFrames)
        account.restart(
            with: (last.sequence, last.records), and: (sequence, arrival.recordCount))
        return .fresh
    }

    /// Notes the name in a heartbeat. A name whose hash is the source's id stays: it is the one that the id was made of.
    ///
    /// - Parameter number: of this source among those that have a name; asked for once.
    mutating func name(_ text: String, number: () -> Int) {
        guard !text.isEmpty, text != name?.text else { return }
        let isOwn = SourceID.hash(text) == source
        guard isOwn || name?.isOwn != true else { return }
        name = SourceName(text: text, isOwn: isOwn, number: name?.number ?? number())
    }

    /// Keeps the totals of a session that is evicted.
    ///
    /// - Parameter hasEnded: it was silent for so long that nothing more is expected of it.
    mutating func close(_ account: borrowing SessionAccount, hasEnded: Bool) {
        counts.add(1, to: .sessionsEvicted)
        if !hasEnded { closedReconciliation.isExact = false }
        // Its first account has what is known of it.
        guard account.beginning != .evicted else { return }
        let gapFrames = account.gapFrames
        let reconciliation = account.reconciliation
        closedGapFrames = closedGapFrames.addingSaturating(gapFrames)
        closedReconciliation.add(reconciliation)
        if gapFrames > 0 || reconciliation.framesMissing > 0 {
            closedLossHighest = max(closedLossHighest, account.highestSequence)
        }
    }

    /// A frame that may have been counted as lost has come. To report too few losses is better than to invent one.
    private mutating func takeOffLosses(records: Int32) {
        closedGapFrames -= min(closedGapFrames, 1)
        closedReconciliation.framesMissing -= min(closedReconciliation.framesMissing, 1)
        closedReconciliation.recordsMissing -= min(closedReconciliation.recordsMissing, UInt64(records))
    }
}

extension UInt64 {
    func addingSaturating(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
