// A closer look than `status` takes, for people: what differs from what the program would make, what could be better, and what
// was dropped last.

import MetricKinds
import Postgres

extension SchemaManager {
    private static let maintenanceLinesMax = 20

    /// Why a kind's table refuses a row; nil when it does not. Takes the row back.
    public typealias Trial = (MetricKind, DatabaseConnection) throws(DatabaseError) -> DatabaseError?

    /// The state of the database with differences, advice and the diary. Changes nothing. O(chunks).
    public func inspect(_ trial: Trial) throws(DatabaseError) -> SchemaReport {
        var report = try status()
        let differences = try differences(report)
        report.warnings += try durabilityWarnings() + differences + refusals(report, without: differences, trial)
        if report.version != nil, !report.missingCollectorTables.contains("spillway.dead_letters") {
            report.warnings += try deadLetterWarnings()
        }
        report.advice = try adviceOnIndexes() + advice(report)
        report.maintenance = try maintenanceLines(report)
        return report
    }

    /// Why records are dead letters: the most frequent reasons among the latest letters. A user that may not read them is told
    /// nothing.
    private func deadLetterWarnings() throws(DatabaseError) -> [String] {
        let right = try connection.query(
            "SELECT pg_catalog.has_table_privilege('spillway.dead_letters', 'SELECT')", operation: "asking for a right")
        guard right.first?.first == "t" else { return [] }
        let rows = try connection.query(
            """
            SELECT split_part(reason, ';', 1), sum(records) FROM (
                SELECT reason, records FROM spillway.dead_letters ORDER BY id DESC LIMIT \(Self.lettersReadMax)) latest
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT \(Self.reasonsMax)
            """, operation: "reading the reasons of dead letters")
        return rows.map { row in
            "spillway.dead_letters holds \(row[1] ?? "") records or more because of: \(row[0] ?? ""); "
                + "'spillway dead-letters list' shows all"
        }
    }

    private static let lettersReadMax = 10_000
    private static let reasonsMax = 5

    /// Columns of another type make the COPY fail, and so do columns that want a value which the program does not know.
    private func differences(_ report: SchemaReport) throws(DatabaseError) -> [String] {
        let found = try columns()
        var lines: [String] = []
        for kind in MetricKind.allCases {
            let table = SchemaSQL.table(kind)
            guard let columns = found[table] else { continue }
            for column in RequiredColumn.all(kind) {
                guard let type = columns[column.name] else {
                    lines.append("\(table).\(column.name) is missing: 'spillway schema apply' adds it")
                    continue
                }
                if type != column.type, !(column.type == "text" && type.hasPrefix("character varying")) {
                    lines.append(
                        "\(table).\(column.name) is \(type) and must be \(column.type), or nothing is stored there: "
                            + column.correction(of: kind))
                }
            }
        }
        let strict = try connection.query(
            """
            SELECT n.nspname || '.' || c.relname, a.attname FROM pg_catalog.pg_attribute a
            JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = '\(MetricKind.schemaName)' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
                AND a.attname <> 'time'
            """, operation: "looking for columns that want a value")
        for row in strict {
            lines.append("\(row[0] ?? "").\(row[1] ?? "") is NOT NULL, so that records without it become dead letters")
        }
        return lines
    }

    /// What each table says to a row that has only its time. The row is taken back. A user that may not store is told nothing.
    ///
    /// - Parameter differences: a table that one of them names is not asked again.
    private func refusals(
        _ report: SchemaReport, without differences: [String], _ trial: Trial
    ) throws(DatabaseError) -> [String] {
        var lines: [String] = []
        for kind in MetricKind.allCases {
            let table = SchemaSQL.table(kind)
            guard let found = report.tables.first(where: { $0.name == table }), found.layout != .missing,
                found.layout != .occupied, found.missingColumns.isEmpty,
                !differences.contains(where: { $0.hasPrefix(table + ".") })
            else { continue }
            let right = try connection.query(
                "SELECT pg_catalog.has_table_privilege($1, 'INSERT')", [table], operation: "asking for a right")
            guard right.first?.first == "t", let refusal = try trial(kind, connection) else { continue }
            lines.append(
                refusal.refusingKind == nil
                    ? "\(table) refuses a row without values: \(refusal)" : "\(table) accepts nothing: \(refusal)")
        }
        return lines
    }

    /// What the fourth migration leaves to the operator, and what an operator dropped.
    private func adviceOnIndexes() throws(DatabaseError) -> [String] {
        var lines: [String] = []
        for kind in MetricKind.allCases {
            let table = SchemaSQL.table(kind)
            let rows = try connection.query(
                """
                SELECT (SELECT quote_ident(c.relname) FROM pg_catalog.pg_class c WHERE c.oid = indexrelid),
                    \(SchemaSQL.isDescending(kind)) FROM pg_catalog.pg_index WHERE \(SchemaSQL.isOnTime(kind))
                UNION ALL SELECT NULL, NULL WHERE pg_catalog.to_regclass('\(table)') IS NOT NULL
                    AND NOT EXISTS (SELECT FROM pg_catalog.pg_index
                        WHERE indrelid = pg_catalog.to_regclass('\(table)') AND indkey[0] = (
                            SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid = indrelid AND attname = 'time'))
                """, operation: "checking the indexes on time")
            for row in rows {
                guard let name = row[0] else {
                    lines.append(
                        "\(table) has no index that begins with time, and queries read all of a day: in a quiet hour, "
                            + "CREATE INDEX ON \(table) (time)")
                    continue
                }
                guard row[1] == "t" else { continue }
                lines.append(
                    "\(MetricKind.schemaName).\(name) descends, and rows go into an ascending one faster: in a quiet "
                        + "hour, DROP INDEX \(MetricKind.schemaName).\(name); CREATE INDEX \(name) ON \(table) (time)")
            }
        }
        return lines
    }

    /// The indexes of the chunks that are written to should fit the server's buffers, which are meant to be a quarter of its
    /// memory: every row goes into them at random places.
    private func advice(_ report: SchemaReport) throws(DatabaseError) -> [String] {
        let rows = try connection.query(
            """
            SELECT n.nspname || '.' || p.relname, max(pg_catalog.pg_indexes_size(i.inhrelid)),
                pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers'))
            FROM pg_catalog.pg_inherits i
            JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
            JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
            WHERE n.nspname = '\(MetricKind.schemaName)' AND p.relkind IN ('r', 'p')
            GROUP BY 1
            """, operation: "measuring the indexes")
        var sizes: [(table: String, bytes: Int64)] = []
        var buffers: Int64 = 0
        for row in rows {
            guard let table = row[0], let bytes = row[1].flatMap({ Int64($0) }) else { continue }
            sizes.append((table, bytes))
            buffers = row[2].flatMap { Int64($0) } ?? 0
        }
        let total = sizes.reduce(0) { $0 + $1.bytes }
        guard buffers > 0, total > buffers else { return [] }
        var lines = [
            "the indexes of one chunk of each table have \(Self.size(total)), and shared_buffers is \(Self.size(buffers)): "
                + "give the server a quarter of its memory, or the largest tables shorter chunks"
        ]
        let steps = [1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168].map { StoreInterval(hours: $0) }
        for (table, bytes) in sizes.sorted(by: { $0.bytes > $1.bytes }) where bytes * 2 > buffers {
            guard let kind = MetricKind.allCases.first(where: { SchemaSQL.table($0) == table }),
                let found = report.tables.first(where: { $0.name == table }), found.layout == .hypertable,
                let interval = found.policy?.chunkInterval
            else { continue }
            let fitting = Int(Double(interval.hours) * Double(buffers) / Double(total))
            guard let better = steps.last(where: { $0.hours <= fitting }) ?? steps.first, better < interval else {
                continue
            }
            lines.append(
                "a chunk of \(table) has \(Self.size(bytes)) of indexes in \(interval): "
                    + "--chunk-interval \(kind.name)=\(better) would fit")
        }
        return lines
    }

    package static func size(_ bytes: Int64) -> String {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1_024, unit < units.count - 1 {
            value /= 1_024
            unit += 1
        }
        let tenths = Int64((value * 10).rounded())
        return unit == 0 || tenths % 10 == 0
            ? "\(tenths / 10) \(units[unit])" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    private func maintenanceLines(_ report: SchemaReport) throws(DatabaseError) -> [String] {
        guard !report.missingCollectorTables.contains("spillway.maintenance") else { return [] }
        do throws(DatabaseError) {
            return try MaintenanceLog(connection).latest(Self.maintenanceLinesMax)
        } catch {
            // A user that may not read it does without.
            guard error.sqlstate == .insufficientPrivilege, connection.isUsable else { throw error }
            return []
        }
    }
}
