// The beginning of every batch's transaction: its row in the ledger, and which frames of which sessions it holds.
//
// Exactly once rests on it: the ledger's key refuses a batch that is stored already, and what is known of a session's frames
// survives a crash of the collector because it is committed with them.

import Delivery
import FrameCodec

/// What a batch writes into schema `spillway`.
struct LedgerEntry {
    static let operation = "INSERT INTO spillway.batches"
    /// How long a statement waits for a lock, for example behind a change of the schema.
    private static let lockTimeoutMilliseconds = 10_000

    let identity: BatchIdentity
    private let records: Int
    private let sessions: [SessionFrames]
    private let fence: CommitFence
    private let malformed: [DeadLetter]

    init(
        _ summary: BatchSummary, fence: CommitFence, decoded: DecodedBatch, frames: UnsafeRawBufferPointer,
        keepsMalformed: Bool
    ) {
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
        sessions = summary.sessions.map { frames in
            guard let without = refused[frames.key] else { return frames }
            var rest = frames
            rest.sequences.subtract(without)
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

    /// Opens the transaction, in one round trip unless there are dead letters. All that varies are numbers.
    func begin(_ connection: DatabaseConnection) throws(DatabaseError) {
        var sql = """
            BEGIN; SET LOCAL lock_timeout = \(Self.lockTimeoutMilliseconds); \(fence.shareStatement); \
            INSERT INTO spillway.batches (epoch, sequence, records) \
            VALUES (\(identity.epoch), \(identity.sequence), \(records))
            """
        let rows = sessions.flatMap { frames in
            frames.sequences.ranges.map { range in
                "(\(Int64(bitPattern: frames.key.source)),\(Int64(bitPattern: frames.key.session)),"
                    + "\(Int64(bitPattern: range.lowerBound)),\(Int64(bitPattern: range.upperBound)))"
            }
        }
        if !rows.isEmpty {
            sql += "; INSERT INTO spillway.session_frames (source, session, first, behind) VALUES "
            sql += rows.joined(separator: ",")
        }
        try connection.execute(sql, operation: Self.operation)
        for letter in malformed { try letter.insert(connection, identity) }
    }
}
