// What `PartitionAttachment` leaves when its process ends in the middle of it: a constraint by which a default partition refuses the
// rows of a range that has no partition.

import Postgres

/// The default partitions that refuse rows. Used by one thread, outside of transactions.
package struct UnfinishedPartitions {
    private let connection: DatabaseConnection

    package init(_ connection: DatabaseConnection) { self.connection = connection }

    /// The tables and what their rows must be. One query of the catalog.
    package func all() throws(DatabaseError) -> [(table: String, rule: String)] {
        try connection.query(
            """
            SELECT format('%I.%I', n.nspname, c.relname), pg_catalog.pg_get_constraintdef(s.oid)
            FROM pg_catalog.pg_constraint s JOIN pg_catalog.pg_class c ON c.oid = s.conrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE s.conname = '\(PartitionAttachment.constraintName)' ORDER BY 1
            """, operation: "looking for constraints of interrupted changes"
        ).map { ($0[0] ?? "", $0[1] ?? "") }
    }

    /// Removes them, unless another session is making partitions at this moment.
    ///
    /// - Returns: the tables.
    /// - Throws: also when a lock is not to be had (55P03) or the tables are another role's (42501).
    package func drop() throws(DatabaseError) -> [String] {
        let tables = try all().map(\.table)
        guard !tables.isEmpty, try Leadership.partitions.isHeld(by: connection) else { return [] }
        do throws(DatabaseError) {
            for table in tables { try drop(table) }
        } catch {
            if connection.isUsable { try Leadership.partitions.stepDown(connection) }
            throw error
        }
        try Leadership.partitions.stepDown(connection)
        return tables
    }

    /// Of one table, if it has one.
    package func drop(_ table: String) throws(DatabaseError) {
        guard try all().contains(where: { $0.table == table }) else { return }
        try connection.inTransaction { () throws(DatabaseError) in
            try connection.execute("SET LOCAL lock_timeout = '\(PartitionAttachment.shortLockTimeout)'")
            try connection.execute(
                "ALTER TABLE \(table) DROP CONSTRAINT IF EXISTS \(PartitionAttachment.constraintName)")
        }
    }
}
