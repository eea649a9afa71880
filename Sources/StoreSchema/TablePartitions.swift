// Which native partitions a kind's table has, by the catalog: their names are only names. An operator may rename a table, attach,
// detach and rename partitions, and other objects may have the names that this program would choose.

import MetricKinds
import Postgres
import Text

/// The partitions of one table.
package struct TablePartitions: Equatable, Sendable {
    /// A partition with a range of times, in microseconds since the Unix epoch; unbounded sides are the ends of 64 bits.
    package struct Partition: Equatable, Sendable {
        /// With its schema, quoted where SQL needs it.
        package let name: String
        package let range: Range<Int64>
    }

    /// The one that takes the rows of all other times, with its schema; nil where there is none.
    package var defaultName: String?
    package var partitions: [Partition] = []

    /// Whether a partition has some of the day, so that none can be made for all of it.
    package func covers(_ day: UTCDay) -> Bool {
        let begin = day.microseconds
        let end = day.advanced(by: 1).microseconds
        return partitions.contains { $0.range.lowerBound < end && $0.range.upperBound > begin }
    }

    /// Days after a day that have partitions without a gap.
    package func daysAhead(of today: UTCDay) -> Int {
        var days = 0
        while days < Self.daysCountedMax, covers(today.advanced(by: days + 1)) { days += 1 }
        return days
    }

    /// Where counting ends: a partition may have no end.
    private static let daysCountedMax = 366

    /// The partitions of all kinds' tables that are partitioned. O(partitions). A partition that is being detached counts as gone.
    package static func read(_ connection: DatabaseConnection) throws(DatabaseError) -> [MetricKind: TablePartitions] {
        func bound(_ word: String, _ unbounded: String) -> String {
            let text = "pg_catalog.pg_get_expr(c.relpartbound, c.oid)"
            let time = "(regexp_match(\(text), '\(word) \\(''([^'']+)''\\)'))[1]::timestamptz"
            return "CASE WHEN \(time) IS NULL THEN \(unbounded) ELSE \(SQLTime.microseconds(time)) END"
        }
        let rows = try connection.query(
            """
            SELECT p.relname, format('%I.%I', n.nspname, c.relname), t.partdefid = c.oid,
                \(bound("FROM", "\(Int64.min + 1)")), \(bound(" TO", "\(Int64.max)"))
            FROM pg_catalog.pg_partitioned_table t
            JOIN pg_catalog.pg_class p ON p.oid = t.partrelid
            JOIN pg_catalog.pg_namespace s ON s.oid = p.relnamespace AND s.nspname = '\(MetricKind.schemaName)'
            LEFT JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid AND NOT i.inhdetachpending
            LEFT JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
            LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            """, operation: "listing the partitions")
        var found: [MetricKind: TablePartitions] = [:]
        for row in rows {
            guard let kind = MetricKind.allCases.first(where: { $0.tableName == row[0] }) else { continue }
            var partitions = found[kind] ?? TablePartitions()
            if let name = row[1], row[2] != nil {
                if row[2] == "t" {
                    partitions.defaultName = name
                } else if let lower = row[3].flatMap({ Int64($0) }), let upper = row[4].flatMap({ Int64($0) }),
                    lower < upper
                {
                    partitions.partitions.append(Partition(name: name, range: lower..<upper))
                }
            }
            found[kind] = partitions
        }
        return found
    }
}

/// The names in schema `metrics` that are taken, so that new objects get names that are free.
package struct TakenNames: Sendable {
    private var taken: Set<String> = []

    /// None: for a database without the schema.
    package init() {}

    /// A table also makes a type of its name.
    package init(_ connection: DatabaseConnection) throws(DatabaseError) {
        let rows = try connection.query(
            """
            SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = '\(MetricKind.schemaName)'
            UNION SELECT t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
            WHERE n.nspname = '\(MetricKind.schemaName)'
            """, operation: "listing the names of the schema")
        taken = Set(rows.compactMap { $0[0] })
    }

    /// The name, or the first of NAME_2, NAME_3 ... that no other object has.
    package func free(_ name: String) -> String {
        guard taken.contains(name) else { return name }
        var number = 2
        while taken.contains("\(name)_\(number)") { number += 1 }
        return "\(name)_\(number)"
    }
}
