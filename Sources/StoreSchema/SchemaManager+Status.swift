// Reading the state of the schema. Only the catalog is asked about names: it can be read without any right on them.

import MetricKinds
import Postgres

extension SchemaManager {
    /// The state of the database. Changes nothing.
    public func status() throws(DatabaseError) -> SchemaReport {
        let server = try ServerIdentity.detect(connection)
        let rows = try connection.query(
            """
            SELECT n.nspname || '.' || c.relname, c.relkind
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname IN ('\(SchemaSQL.schemas.joined(separator: "', '"))') AND c.relkind IN ('r', 'p')
            """, operation: "listing the tables")
        var kindOfRelation: [String: String] = [:]
        for row in rows {
            if let name = row[0], let kind = row[1] { kindOfRelation[name] = kind }
        }
        let hypertables = try hypertables(server)
        let estimates = try rowEstimates(server, hypertables)
        let columns = try columns()
        let occupied = try occupiedNames()
        let policies = try policies()
        let partitions = try TablePartitions.read(connection)
        var tables: [SchemaReport.Table] = []
        for kind in MetricKind.allCases {
            let name = SchemaSQL.table(kind)
            let layout: SchemaReport.Layout =
                switch kindOfRelation[name] {
                case nil: occupied.contains(name) ? .occupied : .missing
                case "p": .partitioned
                default: hypertables.contains(name) ? .hypertable : .ordinary
                }
            let own = layout == .partitioned ? partitions[kind] ?? TablePartitions() : nil
            tables.append(
                SchemaReport.Table(
                    name: name, layout: layout, rowsEstimated: estimates[name] ?? 0,
                    defaultPartition: own?.defaultName,
                    defaultPartitionRows: own == nil ? nil : try defaultRows(own?.defaultName),
                    partitionsAhead: own?.daysAhead(of: today),
                    missingColumns: layout == .missing || layout == .occupied
                        ? [] : (kind.columns.map(\.name) + ["tags", "metadata"]).filter { columns[name]?[$0] == nil },
                    policy: policies?[kind]))
        }
        var report = SchemaReport(
            server: server, version: nil, versionOfProgram: migrations.count, tables: tables,
            missingCollectorTables: Migration.collectorTableNames.map { "spillway.\($0)" }
                .filter { kindOfRelation[$0] == nil })
        report.usesTimescale = try mayUseTimescale()
        if kindOfRelation["spillway.schema_version"] != nil {
            // Before the third version there is no such column.
            let rows = try connection.query(
                """
                SELECT max(version), max(coalesce((to_jsonb(v) ->> 'needs')::integer, version))
                FROM spillway.schema_version v
                """, operation: "reading the schema's version")
            report.version = rows.first?[0].flatMap { Int($0) }
            report.versionNeeded = rows.first?[1].flatMap { Int($0) }
        }
        report.refusingPartitions = try UnfinishedPartitions(connection).all().map {
            "\($0.table) refuses rows that are not \($0.rule.dropFirst("CHECK ".count)): the constraint "
                + "\(PartitionAttachment.constraintName) is that of an interrupted change; 'spillway schema apply' removes it"
        }
        report.nameWarnings = try takenNameWarnings(report)
        report.warnings = warnings(report) + report.nameWarnings
        return report
    }

    /// What an operator should know for as long as it lasts: rows in default partitions, and names that other objects have.
    public func standingWarnings() throws(DatabaseError) -> [String] {
        let report = try status()
        return Self.defaultPartitionWarnings(report) + report.nameWarnings
    }

    /// One line for each table with rows in its default partition: their days have no partition, so that dropping old
    /// days does not reach them.
    private static func defaultPartitionWarnings(_ report: SchemaReport) -> [String] {
        report.refusingPartitions
            + report.tables.compactMap { table in
                guard let rows = table.defaultPartitionRows, rows > 0 else { return nil }
                let count =
                    rows > SchemaReport.defaultRowsCounted ? "over \(SchemaReport.defaultRowsCounted)" : "\(rows)"
                return
                    "\(table.defaultPartition ?? "") holds \(count) rows of days without a partition: look at their times, "
                    + "then make partitions for these days or delete the rows"
            }
    }

    private func warnings(_ report: SchemaReport) -> [String] {
        var lines = Self.defaultPartitionWarnings(report)
        if !report.usesTimescale, report.tables.contains(where: { $0.layout == .hypertable }) {
            lines.append(
                "TimescaleDB is turned off, and the tables are hypertables and stay so: for native partitions, apply the "
                    + "schema to a new database")
        }
        if report.server.flavour.hasHypertables, report.usesTimescale {
            for table in report.tables where table.layout == .partitioned {
                lines.append("\(table.name) has native partitions from before TimescaleDB was here, and keeps them")
            }
        }
        for table in report.tables where table.layout == .occupied {
            lines.append(
                "\(table.name) is no table (a view?), so its records wait: drop or rename it, and the table is made"
            )
        }
        for table in report.tables where table.layout == .ordinary {
            lines.append("\(table.name) has neither chunks nor partitions: old rows can only be deleted one by one")
        }
        return lines
    }

    /// What has a name in the tables' schema without being a table: nothing can be made in its place.
    private func occupiedNames() throws(DatabaseError) -> Set<String> {
        let rows = try connection.query(
            """
            SELECT n.nspname || '.' || c.relname
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = '\(MetricKind.schemaName)' AND c.relkind NOT IN ('r', 'p', 'i', 'I', 't')
            """, operation: "listing what is no table")
        return Set(rows.compactMap { $0[0] })
    }

    /// The columns of the kinds' tables with their types.
    package func columns() throws(DatabaseError) -> [String: [String: String]] {
        let rows = try connection.query(
            """
            SELECT n.nspname || '.' || c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
            FROM pg_catalog.pg_attribute a
            JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = '\(MetricKind.schemaName)' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                AND a.attnum > 0 AND NOT a.attisdropped
            """, operation: "listing the columns")
        var found: [String: [String: String]] = [:]
        for row in rows {
            if let table = row[0], let column = row[1] { found[table, default: [:]][column] = row[2] }
        }
        return found
    }

    private func hypertables(_ server: ServerIdentity) throws(DatabaseError) -> Set<String> {
        guard server.flavour.hasHypertables else { return [] }
        let rows = try connection.query(
            """
            SELECT hypertable_schema || '.' || hypertable_name FROM timescaledb_information.hypertables
            WHERE hypertable_schema = '\(MetricKind.schemaName)'
            """, operation: "listing the hypertables")
        return Set(rows.compactMap { $0[0] })
    }

    /// Chunks and partitions alike are children of their table. The live counts of the statistics are newer than the
    /// planner's, which are there after a crash as well. Compressed chunks count through TimescaleDB's own estimate.
    private func rowEstimates(
        _ server: ServerIdentity, _ hypertables: Set<String>
    ) throws(DatabaseError) -> [String: Int64] {
        let rows = try connection.query(
            """
            WITH RECURSIVE leaf(root, id) AS (
                SELECT c.oid, c.oid FROM pg_catalog.pg_class c
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = '\(MetricKind.schemaName)' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                UNION ALL
                SELECT leaf.root, i.inhrelid FROM leaf JOIN pg_catalog.pg_inherits i ON i.inhparent = leaf.id
            )
            SELECT n.nspname || '.' || r.relname,
                sum(CASE WHEN c.relkind = 'r'
                    THEN greatest(c.reltuples::bigint, pg_catalog.pg_stat_get_live_tuples(c.oid), 0) ELSE 0 END)
            FROM leaf JOIN pg_catalog.pg_class c ON c.oid = leaf.id
            JOIN pg_catalog.pg_class r ON r.oid = leaf.root
            JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
            GROUP BY 1
            """, operation: "estimating the rows")
        var estimates: [String: Int64] = [:]
        for row in rows {
            if let name = row[0], let count = row[1].flatMap({ Int64($0) }) { estimates[name] = count }
        }
        guard server.flavour == .timescaleCommunity, let schema = server.timescaleSchema else { return estimates }
        for name in hypertables {
            let rows = try connection.query("SELECT \(schema).approximate_row_count($1::regclass)", [name])
            let count = rows.first?[0].flatMap { Int64($0) } ?? 0
            estimates[name] = max(count, estimates[name] ?? 0)
        }
        return estimates
    }

    private func defaultRows(_ name: String?) throws(DatabaseError) -> Int64 {
        guard let name else { return 0 }
        do {
            // Asked first, since this is looked at every minute and each refusal is an error in the server's log.
            let right = try connection.query("SELECT pg_catalog.has_table_privilege($1, 'SELECT')", [name])
            guard right.first?.first == "t" else { return 0 }
            let rows = try connection.query(
                """
                SELECT count(*) FROM (SELECT FROM ONLY \(name) LIMIT \(SchemaReport.defaultRowsCounted + 1)) few
                """)
            return rows.first?[0].flatMap { Int64($0) } ?? 0
        } catch {
            // A user that may only write cannot count; writing is all that the collector needs.
            guard error.sqlstate == .insufficientPrivilege, !connection.isInTransaction else { throw error }
            return 0
        }
    }
}
