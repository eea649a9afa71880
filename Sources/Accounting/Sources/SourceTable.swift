// All sources and sessions, in shards with a lock each, so that receivers and lanes seldom meet.
//
// Limits: `sourcesMax` sources. `sessionsMax` sessions of all sources, and at most `shardsMax` more: a shard without a
// session of its own takes one when no other shard's lock is free.

import LinuxSystem
import Synchronization

/// A bounded map from source id to its part of the accounting.
///
/// Sources are never removed: the accounting of a source that is silent is still true. Sessions make room for new ones.
final class SourceTable: Sendable {
    /// A power of two.
    private static let shardsMax = 16
    private static let shardShift: UInt64 = 60

    private final class Shard: Sendable {
        let accounting: Mutex<SourceShard>
        /// Its sessions, for other shards to see without its lock. Relaxed: it only helps to choose a shard.
        let sessionCount = Atomic<Int>(0)

        init(number: Int) { accounting = Mutex(SourceShard(number: number)) }
    }

    private let sourcesMax: Int
    private let sessionsMax: Int
    private let shards: [Shard]
    // Relaxed, both: only the counts themselves matter, and each source and session is guarded by its shard's lock.
    private let sourceCount = Atomic<Int>(0)
    private let sessionCount = Atomic<Int>(0)
    /// Sources that have a name. Relaxed: it only numbers them.
    private let nameCount = Atomic<Int>(0)

    init(sourcesMax: Int, sessionsMax: Int) {
        self.sourcesMax = sourcesMax
        self.sessionsMax = sessionsMax
        shards = (0..<Self.shardsMax).map { Shard(number: $0) }
    }

    /// Sessions of all sources that have an account.
    var sessionsTracked: Int { sessionCount.load(ordering: .relaxed) }

    /// Counts a source that gets its first name.
    ///
    /// - Returns: how many had one before.
    func nextNameNumber() -> Int { nameCount.wrappingAdd(1, ordering: .relaxed).oldValue }

    /// Multiplied with the golden ratio, because ids need not be random.
    private func shard(of source: UInt64) -> Shard {
        shards[Int(truncatingIfNeeded: (source &* 0x9E37_79B9_7F4A_7C15) >> Self.shardShift)]
    }

    /// Gives `body` the source's shard and its place there. The source is added if there is room for it.
    ///
    /// - Returns: nil when the table is full and does not have the source: `body` was not called.
    func withShard<Result>(
        of source: UInt64, peer: PeerAddress, nowMicroseconds: Int64, _ body: (inout SourceShard, Int) -> Result
    ) -> Result? {
        shard(of: source).accounting.withLock { shard in
            if let place = shard.place(of: source) { return body(&shard, place) }
            guard sourceCount.wrappingAdd(1, ordering: .relaxed).newValue <= sourcesMax else {
                sourceCount.wrappingSubtract(1, ordering: .relaxed)
                return nil
            }
            let place = shard.add(source, peer: peer, nowMicroseconds: nowMicroseconds)
            return body(&shard, place)
        }
    }

    /// The same for what concerns no session.
    func withSource(
        _ source: UInt64, peer: PeerAddress, nowMicroseconds: Int64, _ body: (inout SourceAccount) -> Void
    ) {
        _ = withShard(of: source, peer: peer, nowMicroseconds: nowMicroseconds) { shard, place in
            shard.withSource(at: place, body)
        }
    }

    /// Gives `body` the source if the table has it.
    func withKnownSource(_ source: UInt64, _ body: (inout SourceAccount) -> Void) {
        shard(of: source).accounting.withLock { shard in
            if let place = shard.place(of: source) { shard.withSource(at: place, body) }
        }
    }

    /// Opens a session's account in a shard whose lock the caller holds; old sessions make room for it.
    /// Amortised O(1).
    ///
    /// - Returns: the sessions that were evicted.
    func open(
        _ session: UInt64, of place: Int, in shard: inout SourceShard, first: UInt64, isEarly: Bool, at time: Int64,
        nowMicroseconds: Int64
    ) -> Int {
        let isOver = sessionCount.wrappingAdd(1, ordering: .relaxed).newValue > sessionsMax
        let evicted = isOver ? makeRoom(in: &shard, nowMicroseconds: nowMicroseconds) : 0
        shard.open(session, of: place, first: first, isEarly: isEarly, at: time)
        shards[shard.number].sessionCount.store(shard.sessionCount, ordering: .relaxed)
        return evicted
    }

    /// The shard evicts its own oldest sessions, unless it has fewer than its part of the budget. Then the shard that
    /// has the most does: a source with one session must not pay for a source with thousands.
    private func makeRoom(in shard: inout SourceShard, nowMicroseconds: Int64) -> Int {
        var evicted = 0
        if shard.sessionCount < max(1, sessionsMax / Self.shardsMax),
            let fullest = fullestShard(except: shard.number)
        {
            // Only if its lock is free: two shards that wait for each other would wait for ever.
            evicted =
                fullest.accounting.withLockIfAvailable { other in
                    let evicted = other.evictOldest(nowMicroseconds: nowMicroseconds)
                    fullest.sessionCount.store(other.sessionCount, ordering: .relaxed)
                    return evicted
                } ?? 0
        }
        if evicted == 0 { evicted = shard.evictOldest(nowMicroseconds: nowMicroseconds) }
        sessionCount.wrappingSubtract(evicted, ordering: .relaxed)
        return evicted
    }

    private func fullestShard(except number: Int) -> Shard? {
        var fullest: (shard: Shard, sessions: Int)?
        for index in shards.indices where index != number {
            let sessions = shards[index].sessionCount.load(ordering: .relaxed)
            if sessions > fullest?.sessions ?? 0 { fullest = (shards[index], sessions) }
        }
        return fullest?.shard
    }

    /// Visits every source with the totals of its sessions, one shard's lock at a time. O(sources + sessions).
    func forEach(_ body: (borrowing SourceAccount, SourceShard.SessionTotals) -> Void) {
        for shard in shards {
            shard.accounting.withLock { accounting in
                let totals = accounting.sessionTotals()
                for place in accounting.sources.indices { body(accounting.sources[place], totals[place]) }
            }
        }
    }
}
