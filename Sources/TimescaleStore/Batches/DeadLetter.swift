// What could not be stored as rows, kept with its reason: a record that the server refused, or a frame that turned out to be
// malformed after it was acknowledged.

import Delivery
import MetricKinds

/// A row of `spillway.dead_letters`.
struct DeadLetter {
    /// Nil for a malformed frame, whose records nobody can tell.
    let kind: MetricKind?
    let source: UInt64
    let records: Int
    let reason: String
    let sqlstate: SQLState?
    /// A frame with the refused record alone, or the whole frame that it came in.
    let frame: [UInt8]
    /// Where the record stands among those of its kind, when `frame` is the whole frame that it came in.
    var recordIndex: Int?

    /// - Parameter onlyOnce: not again where this very letter is there already, which takes a look through the table.
    func insert(
        _ connection: DatabaseConnection, _ batch: BatchIdentity, onlyOnce: Bool = false
    ) throws(DatabaseError) {
        let condition =
            onlyOnce
            ? "WHERE NOT EXISTS (SELECT FROM spillway.dead_letters WHERE epoch = $1 AND sequence = $2 AND frame = $8)"
            : ""
        try connection.query(
            """
            INSERT INTO spillway.dead_letters
                (epoch, sequence, kind, source, records, reason, sqlstate, frame, record_index)
            SELECT $1::bigint, $2::bigint, $3, $4::bigint, $5::integer, $6, $7, $8::bytea, $9::integer \(condition)
            """,
            [
                String(batch.epoch), String(batch.sequence), kind?.name, String(Int64(bitPattern: source)),
                String(records), reason, sqlstate?.rawValue,
                frame.withUnsafeBytes { DatabaseConnection.byteaText($0) }, recordIndex.map(String.init),
            ], operation: "INSERT INTO spillway.dead_letters")
    }
}
