// The diary of what was dropped, pruned or sent again, in the database, so that `schema status` can tell what became of old rows.

import Postgres

/// Reads and writes `spillway.maintenance`. Used by one thread.
public struct MaintenanceLog {
    /// Entries that are kept.
    package static let entriesMax = 1_000

    private let connection: DatabaseConnection

    public init(_ connection: DatabaseConnection) { self.connection = connection }

    /// - Parameters:
    ///   - action: one word, for example `drop`.
    ///   - subject: what it was done to.
    package func add(_ action: String, _ subject: String, _ detail: String) throws(DatabaseError) {
        try connection.query(
            """
            WITH old AS (
                DELETE FROM spillway.maintenance
                WHERE id <= (SELECT max(id) FROM spillway.maintenance) - \(Self.entriesMax - 1)
            )
            INSERT INTO spillway.maintenance (action, subject, detail) VALUES ($1, $2, $3)
            """, [action, subject, detail], operation: "INSERT INTO spillway.maintenance")
    }

    /// The last entries, newest first, one line each.
    public func latest(_ count: Int) throws(DatabaseError) -> [String] {
        let rows = try connection.query(
            """
            SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), action, subject, detail
            FROM spillway.maintenance ORDER BY id DESC LIMIT $1
            """, [String(count)], operation: "reading spillway.maintenance")
        return rows.map { row in row.map { $0 ?? "" }.joined(separator: "  ") }
    }
}
