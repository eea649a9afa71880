// What could not be stored as rows, kept with its reason: a record that the server refused, or a frame that turned out to be
// malformed after it was acknowledged.

import Delivery
import MetricKinds
import Postgres

/// A row of `spillway.dead_letters`.
package struct DeadLetter {
    /// Nil for a malformed frame, whose records are not known.
    package let kind: MetricKind?
    package let source: UInt64
    package let records: Int
    package let reason: String
    package let sqlstate: SQLState?
    /// A frame with the refused record alone, or the whole frame that it came in.
    package let frame: [UInt8]
    /// Where the record is among those of its kind, when `frame` is the whole frame that it came in.
    package var recordIndex: Int?

    /// Frames of one statement, in bytes: what bounds its parameters, which take some ten times as much.
    package static let frameBytesPerStatement = 1 << 20

    /// Stores the letters of a batch: one statement for all of them, or one for each `frameBytesPerStatement` of frames.
    ///
    /// - Parameter onlyOnce: without those whose frame is among the batch's letters already. O(letters), by their index.
    package static func insert(
        _ letters: [DeadLetter], _ connection: DatabaseConnection, _ batch: BatchIdentity, onlyOnce: Bool = false
    ) throws(DatabaseError) {
        var first = 0
        while first < letters.count {
            var end = first
            var bytes = 0
            while end < letters.count, end == first || bytes + letters[end].frame.count <= frameBytesPerStatement {
                bytes += letters[end].frame.count
                end += 1
            }
            try insert(letters[first..<end], connection, batch, onlyOnce: onlyOnce)
            first = end
        }
    }

    private static func insert(
        _ letters: ArraySlice<DeadLetter>, _ connection: DatabaseConnection, _ batch: BatchIdentity, onlyOnce: Bool
    ) throws(DatabaseError) {
        let condition =
            onlyOnce
            ? "WHERE NOT EXISTS (SELECT FROM spillway.dead_letters d WHERE d.epoch = $1 AND d.sequence = $2 AND d.frame = v.frame)"
            : ""
        // What is counted as kept must be there. A repeated letter is left out on purpose.
        let returning = onlyOnce ? "" : "RETURNING 1"
        func array(_ value: (DeadLetter) -> String?) -> String { PostgreSQLArray.text(letters.lazy.map(value)) }
        let kept = try connection.query(
            """
            INSERT INTO spillway.dead_letters
                (epoch, sequence, kind, source, records, reason, sqlstate, frame, record_index)
            SELECT $1::bigint, $2::bigint, v.* FROM unnest($3::text[], $4::bigint[], $5::integer[], $6::text[], $7::text[],
                $8::bytea[], $9::integer[]) AS v (kind, source, records, reason, sqlstate, frame, record_index) \(condition)
            \(returning)
            """,
            [
                String(batch.epoch), String(batch.sequence), array { $0.kind?.name },
                array { String(Int64(bitPattern: $0.source)) }, array { String($0.records) }, array { $0.reason },
                array { $0.sqlstate?.rawValue },
                array { $0.frame.withUnsafeBytes { DatabaseConnection.byteaText($0) } },
                array { $0.recordIndex.map(String.init) },
            ], operation: "INSERT INTO spillway.dead_letters")
        guard onlyOnce || kept.count == letters.count else {
            throw connection.error(.suppressed(table: "spillway.dead_letters", rows: letters.count - kept.count))
        }
    }
}
