// What makes a database forget what it has committed, and what no session can set for itself. What the collector acknowledged is
// as safe as this.

import MetricKinds
import Postgres

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
        return try lines + unloggedTables() + disarmedTables()
    }

    /// What keeps the collector's own tables from holding what exactly-once rests on: triggers and rules of others, which
    /// may suppress rows without an error; the ledger's own trigger while it is disabled; keys that are gone, for example after
    /// a restore that failed. One query of the catalog.
    private func disarmedTables() throws(DatabaseError) -> [String] {
        let rows = try connection.query(
            """
            SELECT * FROM (
                SELECT format('spillway.%I', c.relname), 'trigger', format('%I', t.tgname)
                FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
                WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'spillway')
                    AND NOT t.tgisinternal AND t.tgname <> '\(Migration.ledgerTrigger)' AND t.tgenabled <> 'D'
                UNION ALL
                SELECT format('spillway.%I', c.relname), 'disabled', format('%I', t.tgname)
                FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
                WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'spillway')
                    AND t.tgname = '\(Migration.ledgerTrigger)' AND t.tgenabled NOT IN ('O', 'A')
                UNION ALL
                SELECT format('spillway.%I', c.relname), 'rule', format('%I', r.rulename)
                FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
                WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'spillway')
                    AND c.relkind IN ('r', 'p')
                UNION ALL
                SELECT format('spillway.%I', c.relname), 'key', ''
                FROM pg_catalog.pg_class c
                WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'spillway')
                    AND c.relname IN ('batches', 'batch_parts', 'batch_ranges') AND c.relkind = 'r'
                    AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i
                        WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid)
            ) f ORDER BY 1, 2, 3 LIMIT \(Self.tablesShownMax)
            """, operation: "checking the collector's own tables")
        return rows.map { row in
            let (table, name) = (row[0] ?? "", row[2] ?? "")
            return switch row[1] {
            case "trigger":
                "\(table) has a trigger that is not the collector's, and may suppress what exactly-once rests on: "
                    + "DROP TRIGGER \(name) ON \(table)"
            case "rule":
                "\(table) has a rule, which may suppress what exactly-once rests on: DROP RULE \(name) ON \(table)"
            case "disabled":
                "the trigger \(name) of \(table) is disabled, and a row may be stored twice: "
                    + "ALTER TABLE \(table) ENABLE TRIGGER \(name)"
            default:
                "\(table) has no primary key, and a row may be stored twice: remove repeated rows and add the key again, as "
                    + "'spillway schema print' has it"
            }
        }
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
