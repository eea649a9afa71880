// Whether the tables have the columns and types that the rows are made for. The server does not check that of a binary COPY: it
// reads the four bytes of a float as an integer without a word.
//
// It is checked in each transaction, in one round trip, after the tables are locked against changes: so it holds until the rows
// are committed. The lock is the one that COPY takes anyway.

import Delivery
import MetricKinds
import Postgres
import StoreSchema

/// The check of a transaction.
package enum TableCheck {
    private static let operation = "checking the columns of the tables"
    /// How long a lane waits for a table that another session has locked.
    private static let lockTimeoutMilliseconds = 3_000
    /// The same when the tables are asked one by one for the one that is in the way.
    private static let singleLockTimeoutMilliseconds = 500
    private static let required: [MetricKind: [RequiredColumn]] = Dictionary(
        uniqueKeysWithValues: MetricKind.allCases.map { ($0, RequiredColumn.all($0)) })

    /// Locks the kinds' tables and checks their columns. Part of a transaction, before its first COPY.
    ///
    /// - Throws: with `refusingKind` where a table is not there, is locked, or is not what the rows are made for.
    package static func run(_ kinds: KindSet, _ connection: DatabaseConnection) throws(DatabaseError) {
        guard !kinds.isEmpty else { return }
        do throws(DatabaseError) {
            return try check(kinds, lockTimeoutMilliseconds: lockTimeoutMilliseconds, connection)
        } catch {
            guard connection.isUsable, error.refusingKind == nil, case .server(let report) = error.kind,
                !report.sqlstate.isTransient || report.sqlstate == .lockNotAvailable
            else { throw error }
            try connection.rollback()
            // The message names the table in the server's language: each is asked by itself.
            for kind in kinds.kinds {
                do throws(DatabaseError) {
                    try connection.begin()
                    try check(KindSet(kind), lockTimeoutMilliseconds: singleLockTimeoutMilliseconds, connection)
                    try connection.rollback()
                } catch {
                    guard connection.isUsable else { throw error }
                    try connection.rollback()
                    throw error.attributed(to: kind, hasBegun: false)
                }
            }
            throw error
        }
    }

    private static func check(
        _ kinds: KindSet, lockTimeoutMilliseconds: Int, _ connection: DatabaseConnection
    ) throws(DatabaseError) {
        let kinds = SchemaSQL.kindsByTable.filter { kinds.contains($0) }
        let rows = try connection.rows(
            """
            SET LOCAL lock_timeout = \(lockTimeoutMilliseconds); \
            LOCK TABLE \(kinds.map { "ONLY \(SchemaSQL.table($0))" }.joined(separator: ", ")) IN ROW EXCLUSIVE MODE; \
            SET LOCAL lock_timeout = \(LedgerEntry.lockTimeoutMilliseconds); \
            SELECT c.relname, pg_catalog.string_agg(a.attname || ' ' || a.atttypid, ',') \
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
            WHERE c.oid IN (\(kinds.map { "'\(SchemaSQL.table($0))'::regclass" }.joined(separator: ", "))) \
            AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1
            """, operation: operation)
        for kind in kinds {
            let found = rows.first { $0[0] == kind.tableName }.flatMap { $0[1] } ?? ""
            guard let difference = difference(kind, found) else { continue }
            var error = connection.error(.tableDiffers(reason: difference))
            error.refusingKind = kind
            throw error
        }
    }

    /// - Returns: what is not as it must be, and what to do; nil where the table takes the rows as they are.
    private static func difference(_ kind: MetricKind, _ found: String) -> String? {
        var types: [Substring: UInt32] = [:]
        for column in found.split(separator: ",") {
            let parts = column.split(separator: " ")
            if parts.count == 2, let id = UInt32(parts[1]) { types[parts[0]] = id }
        }
        for column in required[kind] ?? [] {
            guard let type = types[column.name[...]] else {
                return "\(SchemaSQL.table(kind)).\(column.name) is missing: 'spillway schema apply' adds it"
            }
            guard column.typeIDs.contains(type) else {
                return "\(SchemaSQL.table(kind)).\(column.name) must be \(column.type) and is of another type: "
                    + column.correction(of: kind)
            }
        }
        return nil
    }
}
