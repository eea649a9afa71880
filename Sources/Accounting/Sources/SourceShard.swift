// The sources of one shard and the accounts of their sessions.

import FrameCodec
import LinuxSystem

/// The part of the accounting that one lock guards.
struct SourceShard: ~Copyable {
    /// What the sessions of a source add up to, the evicted ones included.
    struct SessionTotals {
        var gapFrames: UInt64
        var reconciliation: Reconciliation
    }

    /// A session that was silent for this long has ended: clients send heartbeats every few seconds.
    static let endedSilenceMicroseconds: Int64 = 3_600_000_000
    /// An eviction removes this part of the sessions, so that its cost is shared by as many new ones.
    private static let evictedShare = 16

    /// The shard's number.
    let number: Int
    /// The standard dictionary: its hashing is seeded, so that no sender can choose ids that collide.
    private var places: [UInt64: Int] = [:]
    private(set) var sources: [SourceAccount] = []
    private var sessions = SessionStore()
    /// Wall-clock time in microseconds that never falls and differs from one use of the shard to the next: the order
    /// of sessions by last use is the true one even if the clock is set back.
    private var clock: Int64 = 0

    init(number: Int) { self.number = number }

    /// Sessions that have an account.
    var sessionCount: Int { sessions.count }

    func place(of source: UInt64) -> Int? { places[source] }

    /// Adds a source that the shard does not have.
    ///
    /// - Returns: its place, which stays the same.
    mutating func add(_ source: UInt64, peer: PeerAddress, nowMicroseconds: Int64) -> Int {
        let place = sources.count
        places[source] = place
        sources.append(SourceAccount(source: source, peer: peer, nowMicroseconds: nowMicroseconds))
        sessions.addOwner()
        return place
    }

    mutating func withSource<Result>(at place: Int, _ body: (inout SourceAccount) -> Result) -> Result {
        body(&sources[place])
    }

    /// The time of this use of the shard.
    mutating func tick(nowMicroseconds: Int64) -> Int64 {
        clock = max(clock &+ 1, nowMicroseconds)
        return clock
    }

    /// As `SourceAccount.receive`.
    mutating func receive(
        _ arrivals: inout [FrameArrival], _ run: Range<Int>, from place: Int, at time: Int64,
        nowMicroseconds: Int64
    ) -> Int {
        sources[place].receive(
            &arrivals, run, owner: place, at: time, nowMicroseconds: nowMicroseconds, &sessions)
    }

    mutating func hasAccount(of key: SessionKey, from place: Int) -> Bool {
        sessions.place(of: key, owner: place) != nil
    }

    /// Notes a heartbeat of a session that has an account.
    ///
    /// - Returns: false when the session cannot have reached these totals: then they are left out.
    mutating func report(_ report: SessionReport, of key: SessionKey, from place: Int, at time: Int64) -> Bool {
        guard let account = sessions.place(of: key, owner: place) else {
            preconditionFailure("the session's account is opened first")
        }
        return sessions.accounts[account].pointee.report(report, at: time)
    }

    /// As `SessionAccount.foundDurable`.
    ///
    /// - Returns: false when the session has no account yet.
    mutating func foundDurable(_ frames: UInt64, of key: SessionKey, from place: Int) -> Bool {
        guard let account = sessions.place(of: key, owner: place) else { return false }
        sessions.accounts[account].pointee.foundDurable(frames)
        return true
    }

    /// As `SourceAccount.open`: the caller has seen to the room.
    mutating func open(_ session: UInt64, of place: Int, first: UInt64, isEarly: Bool, at time: Int64) {
        sources[place].open(session, owner: place, first: first, isEarly: isEarly, at: time, &sessions)
    }

    /// Evicts the sessions used longest ago. O(sessions), for a sixteenth of them.
    ///
    /// - Returns: how many there were.
    mutating func evictOldest(nowMicroseconds: Int64) -> Int {
        let time = tick(nowMicroseconds: nowMicroseconds)
        let oldest = sessions.oldest(max(1, sessions.count / Self.evictedShare))
        for place in oldest {
            let account = sessions.accounts[place].pointee
            let owner = Int(account.owner)
            let silence = time &- account.lastUsed
            sources[owner].close(account, hasEnded: silence >= Self.endedSilenceMicroseconds)
            sessions.evict(SessionKey(source: sources[owner].source, session: account.session))
        }
        return oldest.count
    }

    /// For each source, in their order. O(sources + sessions).
    func sessionTotals() -> [SessionTotals] {
        var totals = sources.map {
            SessionTotals(gapFrames: $0.closedGapFrames, reconciliation: $0.closedReconciliation)
        }
        for place in sessions.accounts.indices {
            let account = sessions.accounts[place]
            guard !account.pointee.isFree else { continue }
            let owner = Int(account.pointee.owner)
            totals[owner].gapFrames = totals[owner].gapFrames.addingSaturating(account.pointee.gapFrames)
            totals[owner].reconciliation.add(account.pointee.reconciliation)
        }
        return totals
    }
}
