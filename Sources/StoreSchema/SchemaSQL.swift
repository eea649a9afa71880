// The SQL of the database's two schemas: `metrics` with one table a kind, and `spillway` with what the collector
// needs. All identifiers come from `MetricKinds` and from here; nothing that a client sent becomes SQL.
//
// Every statement can be repeated. What changes between versions is in Migration.swift.

import LinuxSystem
import MetricKinds
import Text

/// The statements that make the schema.
public enum SchemaSQL {
    /// What the statements are for.
    package struct Target {
        let flavour: Flavour
        /// Where TimescaleDB's functions live.
        let timescaleSchema: String?
        let today: UTCDay
        let daysAhead: Int
        /// Those whose tables are missing.
        var kinds = MetricKind.allCases
        /// Names that other objects have.
        var names = TakenNames()
    }

    /// The schema's version that this program makes and knows.
    public static var version: Int { Migration.all.last?.number ?? 0 }

    /// Native partitions made ahead of today, unless said otherwise.
    public static let defaultDaysAhead = 3
    /// The key of the advisory lock under which schemas change, `spillway` in ASCII.
    package static let advisoryLock: Int64 = 0x7370_696C_6C77_6179

    package static let schemas = [MetricKind.schemaName, "spillway"]

    /// The whole schema as a script for psql.
    ///
    /// - Parameter today: the first day that gets a native partition; the day of the clock unless given.
    public static func script(
        _ flavour: Flavour, today: UTCDay = UTCDay(microseconds: wallClockMicroseconds()),
        daysAhead: Int = defaultDaysAhead
    ) -> String {
        let target = Target(flavour: flavour, timescaleSchema: nil, today: today, daysAhead: daysAhead)
        var statements = ["BEGIN", "SELECT pg_advisory_xact_lock(\(advisoryLock))"]
        if flavour.hasHypertables { statements.insert("CREATE EXTENSION IF NOT EXISTS timescaledb", at: 0) }
        statements += schemas.map { createSchema($0) }
        for migration in Migration.all {
            statements += migration.statements(target)
            statements.append(migration.record)
        }
        if flavour == .timescaleCommunity {
            var plan = SchemaPlan()
            for kind in MetricKind.allCases {
                HypertableState().plan(.standard(kind), kind, HypertableFunctions(), into: &plan)
            }
            statements += plan.statements
        }
        statements.append("COMMIT")
        return statements.map { $0 + ";\n" }.joined(separator: "\n")
    }

    package static func createSchema(_ name: String) -> String { "CREATE SCHEMA IF NOT EXISTS \(name)" }

    /// A kind's table with its schema.
    /// COPY goes through the tables in this order, whatever the order of the kinds, so that two lanes never wait for each
    /// other's locks in a circle.
    package static let kindsByTable = MetricKind.allCases.sorted { $0.tableName < $1.tableName }

    package static func table(_ kind: MetricKind) -> String { "\(MetricKind.schemaName).\(kind.tableName)" }

    // MARK: the kinds' tables

    package static func tableStatements(_ kind: MetricKind, _ target: Target) -> [String] {
        guard target.flavour.hasHypertables else {
            return [
                createTable(kind) + " PARTITION BY RANGE (time)", timeIndex(kind, target.names),
                defaultPartition(kind, target.names),
            ]
                + (0...max(0, target.daysAhead)).map {
                    createPartition(kind, target.today.advanced(by: $0), target.names)
                }
        }
        return [
            createTable(kind), createHypertable(kind, functions: target.timescaleSchema),
            timeIndex(kind, target.names),
        ]
    }

    package static func addColumn(_ kind: MetricKind, _ column: RequiredColumn) -> String {
        "ALTER TABLE \(table(kind)) ADD COLUMN IF NOT EXISTS \(column.name) \(column.type.uppercased())"
    }

    /// The policies of a new database; tables from before there were policies keep what they have, whatever that is: nobody
    /// decided to drop a row of theirs.
    package static func firstPolicies(_ target: Target) -> String {
        let rows = MetricKind.allCases.map { kind in
            var policy = TablePolicy.standard(kind)
            if !target.kinds.contains(kind) { (policy.compressAfter, policy.dropAfter) = (nil, nil) }
            return policyRow(kind, policy, isApplied: !target.kinds.contains(kind))
        }
        return """
            INSERT INTO spillway.table_policies (table_name, chunk_interval, compress_after, drop_after, is_applied) VALUES
            \(rows.joined(separator: ",\n"))
            ON CONFLICT (table_name) DO NOTHING
            """
    }

    /// Notes a policy.
    package static func setPolicy(_ kind: MetricKind, _ policy: TablePolicy, isApplied: Bool) -> String {
        """
        INSERT INTO spillway.table_policies (table_name, chunk_interval, compress_after, drop_after, is_applied)
        VALUES \(policyRow(kind, policy, isApplied: isApplied))
        ON CONFLICT (table_name) DO UPDATE SET chunk_interval = excluded.chunk_interval,
            compress_after = excluded.compress_after, drop_after = excluded.drop_after,
            is_applied = excluded.is_applied, changed_at = now()
        """
    }

    private static func policyRow(_ kind: MetricKind, _ policy: TablePolicy, isApplied: Bool) -> String {
        "('\(kind.tableName)', \(policy.chunkInterval.sql), \(policy.compressAfter?.sql ?? "NULL"), "
            + "\(policy.dropAfter?.sql ?? "NULL"), \(isApplied))"
    }

    private static func createTable(_ kind: MetricKind) -> String {
        let fields = kind.columns.map { "    \($0.name) \($0.type.sqlName)" }
        let columns = ["    time TIMESTAMPTZ NOT NULL"] + fields + ["    tags JSONB", "    metadata JSONB"]
        return "CREATE TABLE IF NOT EXISTS \(table(kind)) (\n\(columns.joined(separator: ",\n"))\n)"
    }

    package static func createHypertable(_ kind: MetricKind, functions schema: String?) -> String {
        """
        SELECT \(schema.map { $0 + "." } ?? "")create_hypertable('\(table(kind))', 'time',
            chunk_time_interval => \(TablePolicy.standard(kind).chunkInterval.sql), create_default_indexes => false,
            if_not_exists => true)
        """
    }

    package static func timeIndexName(_ kind: MetricKind) -> String { kind.tableName + "_time_idx" }

    /// The only index: each further one costs every row. It ascends, unlike TimescaleDB's own: rows come in the order of time,
    /// and PostgreSQL has a fast path for keys behind all others. What asks for the newest rows reads it backwards.
    /// Benchmarks/Database.md has the figures.
    private static func timeIndex(_ kind: MetricKind, _ names: TakenNames) -> String {
        "CREATE INDEX IF NOT EXISTS \(names.free(timeIndexName(kind))) ON \(table(kind)) (time)"
    }

    /// Turns the descending index of earlier versions round, where that takes a moment only: a large table is left to an hour
    /// that its operator chooses.
    package static func turnTimeIndex(_ kind: MetricKind) -> String {
        """
        DO $$
        DECLARE
            turned oid := (SELECT indexrelid FROM pg_catalog.pg_index WHERE \(isDescending(kind)) LIMIT 1);
            name text := (SELECT relname FROM pg_catalog.pg_class WHERE oid = turned);
        BEGIN
            IF name IS NOT NULL
                AND (SELECT coalesce(sum(pg_catalog.pg_relation_size(c.oid)), 0)
                    FROM pg_catalog.pg_class c WHERE c.oid = '\(table(kind))'::regclass OR c.oid IN (
                        SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = '\(table(kind))'::regclass)
                    ) < \(turnedBytesMax)
            THEN
                EXECUTE format('DROP INDEX \(MetricKind.schemaName).%I', name);
                EXECUTE format('CREATE INDEX %I ON \(table(kind)) (time)', name);
            END IF;
        END $$
        """
    }

    /// Some hundred thousand rows. By the size of the files: statistics are absent after an upgrade of the server or a crash.
    package static let turnedBytesMax = 33_554_432

    /// Of `pg_index`: an index of the kind's table on time alone, whatever its name.
    package static func isOnTime(_ kind: MetricKind) -> String {
        """
        indrelid = pg_catalog.to_regclass('\(table(kind))') AND indnkeyatts = 1 AND indpred IS NULL
            AND indkey[0] = (SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid = indrelid AND attname = 'time')
        """
    }

    /// Of `pg_index`: such an index whose order is descending.
    package static func isDescending(_ kind: MetricKind) -> String {
        "\(isOnTime(kind)) AND (indoption::smallint[])[0] & 1 = 1"
    }

    /// Takes the rows of days without a partition: late ones, and those of wrong clocks.
    package static func defaultPartition(_ kind: MetricKind, _ names: TakenNames) -> String {
        let name = "\(MetricKind.schemaName).\(names.free(defaultPartitionName(kind)))"
        return "CREATE TABLE IF NOT EXISTS \(name) PARTITION OF \(table(kind)) DEFAULT"
    }

    /// The usual names, without the schema.
    package static func defaultPartitionName(_ kind: MetricKind) -> String { kind.tableName + "_default" }
    package static func partitionName(_ kind: MetricKind, _ day: UTCDay) -> String {
        "\(kind.tableName)_\(day.compact)"
    }

    /// For a table that nobody writes to yet: takes the parent's exclusive lock.
    private static func createPartition(_ kind: MetricKind, _ day: UTCDay, _ names: TakenNames) -> String {
        let name = "\(MetricKind.schemaName).\(names.free(partitionName(kind, day)))"
        return "CREATE TABLE IF NOT EXISTS \(name) PARTITION OF \(table(kind)) \(bounds(day))"
    }

    /// For a table in use: attaching locks the parent only against other changes of the schema, and rows of that range
    /// that went to the default partition move along.
    ///
    /// - Parameters:
    ///   - name: of the new partition, with its schema.
    ///   - fallback: the default partition.
    package static func attachPartition(
        _ kind: MetricKind, as name: String, _ hours: PartitionAttachment.Hours, movingFrom fallback: String
    ) -> [String] {
        [
            createDetached(kind, name),
            // Taken first: an upgrade from the DELETE's lock could deadlock with a COPY into this partition.
            "LOCK TABLE \(fallback) IN ACCESS EXCLUSIVE MODE",
            """
            WITH moved AS (
                DELETE FROM \(fallback)
                WHERE time >= '\(hours.begin)' AND time < '\(hours.end)' RETURNING *
            )
            INSERT INTO \(name) SELECT * FROM moved
            """,
            attach(kind, name, hours),
        ]
    }

    /// The same where the default partition has no row of the range.
    package static func attachEmptyPartition(
        _ kind: MetricKind, as name: String, _ hours: PartitionAttachment.Hours
    ) -> [String] {
        [createDetached(kind, name), attach(kind, name, hours)]
    }

    private static func createDetached(_ kind: MetricKind, _ name: String) -> String {
        "CREATE TABLE \(name) (LIKE \(table(kind)) INCLUDING ALL)"
    }

    private static func attach(_ kind: MetricKind, _ name: String, _ hours: PartitionAttachment.Hours) -> String {
        "ALTER TABLE \(table(kind)) ATTACH PARTITION \(name) FOR VALUES FROM ('\(hours.begin)') TO ('\(hours.end)')"
    }

    private static func bounds(_ day: UTCDay) -> String {
        "FOR VALUES FROM ('\(day.timestamp)') TO ('\(day.advanced(by: 1).timestamp)')"
    }
}
