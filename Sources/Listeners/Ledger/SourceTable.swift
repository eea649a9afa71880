// All sources, in shards with a lock each, so that receivers and lanes seldom meet.

import Synchronization

/// A bounded map from source id to its part of the ledger.
///
/// Entries are never removed: the ledger of a source that is silent is still true. What bounds the table is its cap.
final class SourceTable: Sendable {
    /// A power of two.
    private static let shardsMax = 16
    private static let shardShift: UInt64 = 60

    private struct Entries {
        /// The standard dictionary: its hashing is seeded, so that nobody can choose ids that collide.
        var indices: [UInt64: Int] = [:]
        var sources: [SourceLedger] = []
    }

    private final class Shard: Sendable {
        let entries = Mutex(Entries())
    }

    private let sourcesMax: Int
    private let shards: [Shard]
    private let sourceCount = Atomic<Int>(0)

    init(sourcesMax: Int) {
        self.sourcesMax = sourcesMax
        shards = (0..<Self.shardsMax).map { _ in Shard() }
    }

    /// Multiplied with the golden ratio, because ids need not be random.
    private func shard(of source: UInt64) -> Shard {
        shards[Int(truncatingIfNeeded: (source &* 0x9E37_79B9_7F4A_7C15) >> Self.shardShift)]
    }

    /// Gives `body` the source, which is made if there is room for it.
    ///
    /// - Returns: nil when the table is full and does not have the source: `body` was not called.
    func withSource<Result>(
        _ source: UInt64, peer: PeerAddress, nowMicroseconds: Int64, _ body: (inout SourceLedger) -> Result
    ) -> Result? {
        shard(of: source).entries.withLock { entries in
            if let index = entries.indices[source] { return body(&entries.sources[index]) }
            // Relaxed: only the count itself matters, and every entry is behind its shard's lock.
            guard sourceCount.wrappingAdd(1, ordering: .relaxed).newValue <= sourcesMax else {
                sourceCount.wrappingSubtract(1, ordering: .relaxed)
                return nil
            }
            entries.indices[source] = entries.sources.count
            entries.sources.append(SourceLedger(source: source, peer: peer, nowMicroseconds: nowMicroseconds))
            return body(&entries.sources[entries.sources.count - 1])
        }
    }

    /// Gives `body` the source if the table has it.
    func withKnownSource(_ source: UInt64, _ body: (inout SourceLedger) -> Void) {
        shard(of: source).entries.withLock { entries in
            if let index = entries.indices[source] { body(&entries.sources[index]) }
        }
    }

    /// Visits every source, one shard's lock at a time.
    func forEach(_ body: (borrowing SourceLedger) -> Void) {
        for shard in shards {
            shard.entries.withLock { entries in
                for index in entries.sources.indices { body(entries.sources[index]) }
            }
        }
    }
}
