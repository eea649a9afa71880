// What makes a database forget what it has committed, and what no session can set for itself. What the collector acknowledged is
// as safe as this.

import MetricKinds

extension SchemaManager {
    private static let tablesShownMax = 5

    /// Settings of the server, each with the value that is safe.
    private static let settings: [(name: String, safe: String, harm: String)] = [
        ("fsync", "on", "a crash of the server's machine loses what was acknowledged, or the whole database"),
        (
            "full_page_writes", "on",
            "a crash of the server's machine can damage what was acknowledged, unless its file system writes pages whole"
        ),
        ("zero_damaged_pages", "off", "the server empties damaged pages instead of reporting them"),
        ("ignore_checksum_failure", "off", "the server goes on with damaged pages instead of reporting them"),
        (
            "session_replication_role", "origin",
            "the trigger of the ledger does not fire, and a row may be stored twice"
        ),
    ]

    /// One line for each setting of the server and each table that can lose what was acknowledged: what is wrong, where, and what
    /// to do. Changes nothing. O(unlogged tables), after one pass through the catalog's tables.
    public func durabilityWarnings() throws(DatabaseError) -> [String] {
        let names = Self.settings.map { "pg_catalog.current_setting('\($0.name)')" }
        let values = try connection.query(
            "SELECT \(names.joined(separator: ", "))", operation: "checking the server's settings")
        var lines: [String] = []
        for (setting, value) in zip(Self.settings, values.first ?? []) where value != setting.safe {
            lines.append(
                "\(setting.name) is \(value ?? "") on this server: \(setting.harm); set it to \(setting.safe) "
                    + "(ALTER SYSTEM, postgresql.conf or its command line) and reload")
        }
        return try lines + unloggedTables()
    }

    /// A crash of the server empties unlogged tables.
    private func unloggedTables() throws(DatabaseError) -> [String] {
        let own =
            MetricKind.allCases.map { SchemaSQL.table($0) } + Migration.collectorTableNames.map { "spillway.\($0)" }
        let rows = try connection.query(
            """
            SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relpersistence = 'u' AND c.relkind = 'r' AND (n.nspname || '.' || c.relname = ANY ($1::text[])
                OR EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
                    JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
                    WHERE i.inhrelid = c.oid AND pn.nspname || '.' || p.relname = ANY ($1::text[])))
            ORDER BY 1
            """, [PostgreSQLArray.text(own)], operation: "looking for unlogged tables")
        let names = rows.compactMap { $0[0] }
        var lines = names.prefix(Self.tablesShownMax).map {
            "\($0) is unlogged, and a crash of the server empties it: ALTER TABLE \($0) SET LOGGED"
        }
        if names.count > lines.count { lines.append("\(names.count - lines.count) more tables are unlogged") }
        return lines
    }
}
