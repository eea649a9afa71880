// The beginning and the end of every batch's transaction: its row in the ledger, and which frames of which sessions it holds.
//
// Exactly once rests on it: the ledger's key refuses a batch that is stored already, and what is known of a session's frames
// survives a crash of the collector because it is committed with them.

import Delivery
import FrameCodec
import LinuxSystem
import Postgres

/// What a batch writes into schema `spillway`.
package struct LedgerEntry {
    package static let operation = "INSERT INTO spillway.batches"
    package static let partOperation = "INSERT INTO spillway.batch_parts"
    /// What writes the key that keeps rows from being stored twice: its refusal is about no row of a table.
    package static let operations = [operation, partOperation]
    private static let sessionsOperation = "INSERT INTO spillway.session_frames"
    /// How long a statement waits for a lock, for example behind a change of the schema.
    package static let lockTimeoutMilliseconds = 10_000

    /// What keeps the transaction's rows from being stored twice.
    package enum Key {
        /// The batch's own row in the ledger.
        case batch
        /// Rows of `spillway.batch_parts`: the transaction is a part of the batch.
        case parts([BatchPart])
    }

    package let identity: BatchIdentity
    private let key: Key
    private let records: Int
    private let sessions: [SessionFrames]
    private let fence: CommitFence
    private let malformed: [DeadLetter]
    private let outOfBounds: [DeadLetter]

    /// Which records of its frames a transaction sets aside as dead letters.
    package struct Kept: OptionSet {
        package let rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Those of acknowledged frames that are malformed inside: their clients have let go of them.
        static let malformed = Kept(rawValue: 1)
        /// Those with times that are not accepted.
        static let outOfBounds = Kept(rawValue: 2)
    }

    package init(
        _ summary: BatchSummary, fence: CommitFence, decoded: DecodedBatch, frames: UnsafeRawBufferPointer,
        keeping kept: Kept, key: Key = .batch, recordsBefore: Int = 0
    ) {
        self.key = key
        identity = summary.identity
        records = decoded.recordCount + recordsBefore
        self.fence = fence
        // A refused frame is not stored: it is not known as stored either, unless it becomes a dead letter.
        var refused: [SessionKey: SequenceRanges] = [:]
        if !kept.contains(.malformed) {
            for frame in decoded.refused where frame.isAcknowledged {
                refused[SessionKey(frame.identity), default: SequenceRanges()].insert(frame.identity.sequence)
            }
        }
        // Nor is what was passed over: it is there already.
        sessions = summary.sessions.map { frames in
            var rest = frames
            if let without = refused[frames.key] { rest.sequences.subtract(without) }
            if let before = decoded.storedBefore[frames.key] { rest.sequences.subtract(before) }
            return rest
        }
        malformed =
            kept.contains(.malformed)
            ? decoded.refused.filter(\.isAcknowledged).map { frame in
                DeadLetter(
                    kind: nil, source: frame.identity.source, records: frame.recordCount, reason: "\(frame.error)",
                    sqlstate: nil, frame: Array(frames[frame.bytes]))
            } : []
        outOfBounds =
            kept.contains(.outOfBounds)
            ? DeadLetter.outOfBounds(decoded, frames, arrival: summary.openedMicroseconds) : []
    }

    /// The records of its own dead letters, by source.
    package var letterRecords: [UInt64: Int] {
        (malformed + outOfBounds).reduce(into: [:]) { $0[$1.source, default: 0] += $1.records }
    }

    /// An earlier attempt has stored the batch. It may have been a live one, which keeps no malformed frames since their
    /// clients are told; once the batch was in the spill they are acknowledged, and so they are kept now.
    package func keepMalformed(_ connection: DatabaseConnection) throws(DatabaseError) {
        try DeadLetter.insert(malformed, connection, identity, onlyOnce: true)
    }

    /// Opens the transaction and writes its key, in one round trip. All that varies are numbers.
    ///
    /// Every statement of the transaction must see what others have committed before it, whatever the role's default is.
    ///
    /// - Throws: a violation of the key when it is stored already; `.batchStoredBefore` for a part of a batch that is.
    package func begin(_ connection: DatabaseConnection, before: String = "") throws(DatabaseError) {
        var sql = """
            SET LOCAL lock_timeout = \(Self.lockTimeoutMilliseconds); \
            \(fence.shareStatement); \(Self.lockStatement(identity)); \(before)
            """
        switch key {
        case .batch:
            sql += """
                INSERT INTO spillway.batches (epoch, sequence, records) \
                VALUES (\(identity.epoch), \(identity.sequence), \(records))
                """
            guard try connection.begin(and: sql, operation: Self.operation) == 1 else {
                throw connection.error(.suppressed(table: "spillway.batches", rows: 1))
            }
        case .parts(let parts):
            sql += """
                INSERT INTO spillway.batch_parts (epoch, sequence, kind, frame) \
                SELECT \(identity.epoch), \(identity.sequence), v.* \
                FROM (VALUES \(parts.map { "(\($0.kind), \($0.frame))" }.joined(separator: ","))) v (kind, frame) \
                WHERE NOT EXISTS (SELECT FROM spillway.batches WHERE epoch = \(identity.epoch) AND sequence = \(identity.sequence)) \
                AND NOT EXISTS (SELECT FROM spillway.batch_ranges WHERE epoch = \(identity.epoch) \
                AND first <= \(identity.sequence) AND behind > \(identity.sequence))
                """
            guard try connection.begin(and: sql, operation: Self.partOperation) == parts.count else {
                throw connection.error(.batchStoredBefore)
            }
        }
        try DeadLetter.insert(malformed + outOfBounds, connection, identity)
    }

    /// Writes which frames of sessions the transaction holds, and commits. They are dated by the later of this machine's clock and
    /// the server's: a slow clock must not make them look old enough to be forgotten.
    ///
    /// Two collectors may have the same frame at the same time. Each takes a lock of its session here, behind all of its rows,
    /// so that it is held for no longer than the commit, and then checks what the other one has stored. The rows of a session do
    /// not overlap, so that the first one that ends after a range begins is the only one to compare: O(log n) in the rows.
    ///
    /// - Throws: also `.framesStoredBefore` when somebody has stored one of the frames meanwhile: ask for them and leave them
    ///   out.
    package func commit(_ connection: DatabaseConnection) throws(DatabaseError) {
        let rows = sessions.flatMap { frames in
            frames.sequences.ranges.map { range in
                "(\(Int64(bitPattern: frames.key.source)),\(Int64(bitPattern: frames.key.session)),"
                    + "\(Int64(bitPattern: range.lowerBound)),\(Int64(bitPattern: range.upperBound)))"
            }
        }
        if !rows.isEmpty {
            let slots = Set(sessions.filter { !$0.sequences.isEmpty }.map { Self.slot($0.key) }).sorted()
            // In one order, so that two never wait for each other.
            let locks = slots.map { "SELECT pg_advisory_xact_lock(\(Self.lockClass), \($0)); " }.joined()
            let added = try connection.execute(
                """
                \(locks)INSERT INTO spillway.session_frames (source, session, first, behind, committed_at) \
                SELECT v.*, greatest(now(), \(DatabaseClock.time("\(wallClockMicroseconds())"))) FROM (VALUES \(rows.joined(separator: ","))) v (source, session, first, behind) \
                WHERE NOT coalesce((SELECT f.first < v.behind FROM spillway.session_frames f WHERE f.source = v.source \
                AND f.session = v.session AND f.behind > v.first ORDER BY f.behind LIMIT 1), false)
                """, operation: Self.sessionsOperation)
            guard added == rows.count else { throw connection.error(.framesStoredBefore) }
        }
        try connection.commit()
    }

    /// A transaction of its own.
    ///
    /// - Parameter body: runs between its beginning and its end.
    /// - Throws: as `begin` and `commit` do; the transaction is rolled back then.
    package func commitAlone(
        _ connection: DatabaseConnection, before: String = "", _ body: () throws(DatabaseError) -> Void = {}
    ) throws(DatabaseError) {
        do throws(DatabaseError) {
            try begin(connection, before: before)
            try body()
            try commit(connection)
        } catch {
            if connection.isUsable { try connection.rollback() }
            throw error
        }
    }

    /// Held by every attempt at a batch: whole or in parts, one waits for the other, and sees what it has left.
    package static func lockStatement(_ identity: BatchIdentity) -> String {
        let mixed = UInt64(bitPattern: identity.epoch) ^ UInt64(bitPattern: identity.sequence) &* 0x9E37_79B9_7F4A_7C15
        return "SELECT pg_advisory_xact_lock(\(Int64(bitPattern: mixed)))"
    }

    /// Sessions share so many locks: one for each would fill the server's table of locks.
    private static let lockSlots: UInt64 = 64
    /// `spll` in ASCII.
    private static let lockClass: Int32 = 0x7370_6C6C

    private static func slot(_ key: SessionKey) -> UInt64 {
        ((key.source ^ (key.session &* 0x9E37_79B9_7F4A_7C15)) >> 17) % lockSlots
    }
}
