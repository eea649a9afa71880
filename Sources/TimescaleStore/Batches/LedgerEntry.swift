// The beginning of every batch's transaction: its row in the ledger, and which frames of which sessions it holds.
//
// Exactly once rests on it: the ledger's key refuses a batch that is stored already, and what is known of a session's frames
// survives a crash of the collector because it is committed with them.

import Delivery
import FrameCodec
import MetricKinds

/// What a batch writes into schema `spillway`.
struct LedgerEntry {
    static let operation = "INSERT INTO spillway.batches"
    static let partOperation = "INSERT INTO spillway.batch_parts"
    /// How long a statement waits for a lock, for example behind a change of the schema.
    private static let lockTimeoutMilliseconds = 10_000

    let identity: BatchIdentity
    private let records: Int
    private let sessions: [SessionFrames]
    private let fence: CommitFence
    private let malformed: [DeadLetter]
    /// Waits for all others that store frames of sessions, and lets them wait.
    private let locksSessions: Bool

    init(
        _ summary: BatchSummary, fence: CommitFence, decoded: DecodedBatch, frames: UnsafeRawBufferPointer,
        keepsMalformed: Bool, locksSessions: Bool
    ) {
        self.locksSessions = locksSessions
        identity = summary.identity
        records = decoded.recordCount
        self.fence = fence
        // A refused frame is not stored: it is not known as stored either, unless it becomes a dead letter.
        var refused: [SessionKey: SequenceRanges] = [:]
        if !keepsMalformed {
            for frame in decoded.refused where summary.acknowledges(frame.identity) {
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
            keepsMalformed
            ? decoded.refused.map { frame in
                DeadLetter(
                    kind: nil, source: frame.identity.source, records: frame.recordCount, reason: "\(frame.error)",
                    sqlstate: nil, frame: Array(frames[frame.bytes]))
            } : []
    }

    /// The records of malformed frames that are kept, by source.
    var malformedRecords: [UInt64: Int] {
        malformed.reduce(into: [:]) { $0[$1.source, default: 0] += $1.records }
    }

    /// An earlier attempt has stored the batch. It may have been a live one, which keeps no malformed frames since their
    /// clients are told; once the batch was in the spill they are acknowledged, and so they are kept now.
    func keepMalformed(_ connection: DatabaseConnection) throws(DatabaseError) {
        for letter in malformed { try letter.insert(connection, identity, onlyOnce: true) }
    }

    /// Opens the transaction and writes the entry.
    func begin(_ connection: DatabaseConnection) throws(DatabaseError) {
        try write(connection, before: "BEGIN; ")
    }

    /// Writes the entry, in one round trip for most batches. All that varies are numbers.
    ///
    /// - Throws: also `.framesStoredBefore` when somebody else has stored frames of the batch's sessions meanwhile: ask for
    ///   them and leave them out.
    func write(_ connection: DatabaseConnection, before: String = "") throws(DatabaseError) {
        var sql = before
        sql += prologue
        let rows = sessions.flatMap { frames in
            frames.sequences.ranges.map { range in
                "(\(Int64(bitPattern: frames.key.source)),\(Int64(bitPattern: frames.key.session)),"
                    + "\(Int64(bitPattern: range.lowerBound)),\(Int64(bitPattern: range.upperBound)))"
            }
        }
        if !rows.isEmpty { sql += "\(locksSessions ? SessionLock.take : SessionLock.share); " }
        sql += """
            INSERT INTO spillway.batches (epoch, sequence, records) \
            VALUES (\(identity.epoch), \(identity.sequence), \(records))
            """
        if !rows.isEmpty {
            sql += """
                ; INSERT INTO spillway.session_frames (source, session, first, behind) \
                SELECT * FROM (VALUES \(rows.joined(separator: ","))) v (source, session, first, behind) \
                WHERE NOT EXISTS (SELECT FROM spillway.session_frames f WHERE f.source = v.source \
                AND f.session = v.session AND f.first < v.behind AND f.behind > v.first)
                """
        }
        let written = try connection.execute(sql, operation: Self.operation)
        guard rows.isEmpty || written == rows.count else { throw connection.error(.framesStoredBefore) }
        for letter in malformed { try letter.insert(connection, identity) }
    }

    /// Writes the keys of a part into the transaction that is open.
    func beginPart(
        _ connection: DatabaseConnection, _ units: [(kind: MetricKind, day: Int64)]
    ) throws(DatabaseError) {
        let rows = units.map { "(\(identity.epoch),\(identity.sequence),\($0.kind.rawValue),\($0.day))" }
        try connection.execute(
            prologue + "INSERT INTO spillway.batch_parts (epoch, sequence, kind, day) VALUES "
                + rows.joined(separator: ","), operation: Self.partOperation)
    }

    /// Whether it holds frames of sessions.
    var hasSessions: Bool { sessions.contains { !$0.sequences.isEmpty } }

    /// - Throws: `.framesStoredBefore` when somebody else has stored frames of the batch's sessions.
    func checkSessions(_ connection: DatabaseConnection) throws(DatabaseError) {
        let known = try SessionLedger(connection).storedFrames(of: sessions.map(\.key))
        guard !sessions.contains(where: { known[$0.key]?.intersects($0.sequences) ?? false }) else {
            throw connection.error(.framesStoredBefore)
        }
    }

    private var prologue: String {
        "SET LOCAL lock_timeout = \(Self.lockTimeoutMilliseconds); \(fence.shareStatement); "
    }
}
