// The rights of roles that do not own the schema, as SQL for whoever owns it: a collector that stores and changes nothing else,
// and readers.
//
// The owner makes and changes tables, and the partitions and chunks ahead of time; the collector needs none of that. Its right
// to INSERT also makes the chunk that a row needs.

import MetricKinds

/// Who may do what.
public struct SchemaGrants: Sendable {
    /// A role's name that PostgreSQL cannot have.
    public struct BadName: Error, CustomStringConvertible {
        public let description: String
    }

    /// PostgreSQL cuts longer names without a word.
    private static let nameBytesMax = 63

    private let collector: String
    private let readers: [String]

    /// - Parameters:
    ///   - collector: the role that `spillway serve` connects as.
    ///   - readers: roles that may read the metrics.
    public init(collector: String, readers: [String] = []) throws(BadName) {
        self.collector = try Self.quoted(collector)
        self.readers = try readers.map { (name) throws(BadName) in try Self.quoted(name) }
    }

    /// What the collector may do with its own tables, each right with the use for it.
    ///
    /// - `schema_version`: to see that the schema is the one it knows.
    /// - `batches`, `batch_ranges`, `batch_parts`: the ledger, whose key and trigger refuse a batch that is stored already; its
    ///   older part is pruned into ranges, and a batch that is stored in parts is settled.
    /// - `table_policies`, `maintenance`: to see what is wanted of the tables, and to say in the diary what was pruned.
    /// - `session_frames`: what is stored of a client's frames; rows of long sessions are joined.
    /// - `dead_letters`: also to see which records of a batch are there, when its COMMIT had no answer.
    package static let collectorRights = [
        ("schema_version", "SELECT"), ("table_policies", "SELECT"), ("dead_letters", "SELECT, INSERT"),
        ("batches", "SELECT, INSERT, DELETE"), ("batch_ranges", "SELECT, INSERT, DELETE"),
        ("batch_parts", "SELECT, INSERT, DELETE"), ("session_frames", "SELECT, INSERT, DELETE"),
        ("maintenance", "SELECT, INSERT, DELETE"),
    ]

    /// A script for psql. It may be repeated.
    public var script: String {
        var lines = [
            "-- For the owner of the schemas, after 'spillway schema apply', and again after each upgrade of Spillway.",
            "-- The roles are there: CREATE ROLE \(collector) LOGIN PASSWORD '...'",
            "-- The owner also makes partitions and chunks ahead, and drops old ones: let it run 'spillway schema apply' once a",
            "-- day, and 'spillway cleanup' where TimescaleDB has no job for it.",
            "\\set ON_ERROR_STOP on",
            "BEGIN;",
            "GRANT USAGE ON SCHEMA \(MetricKind.schemaName), spillway TO \(collector);",
        ]
        for (table, rights) in Self.collectorRights {
            lines.append("GRANT \(rights) ON spillway.\(table) TO \(collector);")
        }
        let tables = MetricKind.allCases.map { SchemaSQL.table($0) }.joined(separator: ",\n    ")
        lines.append("GRANT INSERT ON\n    \(tables)\n    TO \(collector);")
        if !readers.isEmpty {
            let names = readers.joined(separator: ", ")
            lines += [
                "GRANT USAGE ON SCHEMA \(MetricKind.schemaName) TO \(names);",
                "GRANT SELECT ON ALL TABLES IN SCHEMA \(MetricKind.schemaName) TO \(names);",
                "-- And on what the owner makes there later.",
                "ALTER DEFAULT PRIVILEGES IN SCHEMA \(MetricKind.schemaName) GRANT SELECT ON TABLES TO \(names);",
            ]
        }
        lines.append("COMMIT;")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func quoted(_ name: String) throws(BadName) -> String {
        guard !name.isEmpty, name.utf8.count <= nameBytesMax, !name.utf8.contains(0) else {
            throw BadName(description: "a role's name has 1 to \(nameBytesMax) bytes, and '\(name)' has not")
        }
        // It also stands in a comment, which ends with the line.
        guard !name.contains(where: \.isNewline) else { throw BadName(description: "a role's name is one line") }
        return "\"" + name.replacing("\"", with: "\"\"") + "\""
    }
}
