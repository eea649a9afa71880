// A database of any earlier version becomes today's without losing a row, and a later one leaves earlier programs at work.

import Delivery
import FrameCodec
import LinuxSystem
import MetricKinds
import TestSupport
import Testing
import Text

@testable import StoreSchema
@testable import StoreWriter
@testable import Postgres

@Suite struct MigrationTests {
    /// Columns, indexes, constraints, triggers and functions of both schemas, in a form that can be compared.
    static func shape(_ connection: DatabaseConnection) throws -> [[String?]] {
        try connection.query(
            """
            SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
                pg_get_expr(d.adbin, d.adrelid)
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE n.nspname IN ('metrics', 'spillway') AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0
                AND NOT a.attisdropped
            UNION ALL
            SELECT n.nspname, c.relname, i.relname, pg_get_indexdef(i.oid), NULL, NULL
            FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname IN ('metrics', 'spillway') AND NOT c.relispartition
            UNION ALL
            SELECT n.nspname, p.proname, md5(p.prosrc), NULL, NULL, NULL
            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'spillway'
            UNION ALL
            SELECT 'trigger', c.relname, t.tgname, pg_get_triggerdef(t.oid), NULL, NULL
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'spillway' AND NOT t.tgisinternal
            ORDER BY 1, 2, 3, 4
            """)
    }

    @Test(arguments: TestFlavour.allCases)
    func everyEarlierVersionBecomesTheSameAndKeepsItsRows(_ flavour: TestFlavour) throws {
        let fresh = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(fresh).apply()
        let wanted = try Self.shape(fresh)
        #expect(wanted.count > 150)
        for version in 1..<Migration.all.count {
            let connection = try DatabaseConnection(TestServers.database(flavour))
            let earlier = SchemaManager(connection, migrations: Array(Migration.all.prefix(version)))
            try Self.makeEarlier(connection, version)
            #expect(try earlier.status().version == version)
            for kind in MetricKind.allCases {
                try connection.execute(
                    "INSERT INTO \(SchemaSQL.table(kind)) (time) SELECT now() FROM generate_series(1, 10)")
            }
            try connection.execute(
                """
                INSERT INTO spillway.batches (epoch, sequence, records) VALUES (1, 1, 90);
                INSERT INTO spillway.dead_letters (reason, frame) VALUES ('r', 'x')
                """)
            let report = try SchemaManager(connection).apply()
            #expect(report.isComplete && report.version == SchemaSQL.version)
            #expect(try Self.shape(connection) == wanted, "from version \(version)")
            for kind in MetricKind.allCases {
                #expect(try connection.query("SELECT count(*) FROM \(SchemaSQL.table(kind))") == [["10"]])
            }
            #expect(try connection.query("SELECT count(*) FROM spillway.batches") == [["1"]])
            #expect(try connection.query("SELECT count(*) FROM spillway.dead_letters") == [["1"]])
            #expect(try SchemaManager(connection).apply().changes.isEmpty)
        }
    }

    /// What a program of an earlier version made.
    static func makeEarlier(_ connection: DatabaseConnection, _ version: Int) throws {
        let server = try {
            let rows = try connection.query("SELECT FROM pg_available_extensions WHERE name = 'timescaledb'")
            let loaded = try connection.query("SELECT FROM pg_settings WHERE name = 'timescaledb.disable_load'")
            if !rows.isEmpty, !loaded.isEmpty {
                try connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            }
            return try ServerIdentity.detect(connection)
        }()
        let target = SchemaSQL.Target(
            flavour: server.flavour, timescaleSchema: server.timescaleSchema,
            today: UTCDay(microseconds: wallClockMicroseconds()), daysAhead: 3)
        for schema in SchemaSQL.schemas { try connection.execute(SchemaSQL.createSchema(schema)) }
        defer { if version < 4 { makeDescending(connection) } }
        for migration in Migration.all.prefix(version) {
            for statement in migration.statements(target) { try connection.execute(statement) }
            try connection.execute(migration.record)
        }
    }

    /// As the first versions had them.
    private static func makeDescending(_ connection: DatabaseConnection) {
        for kind in MetricKind.allCases {
            let name = SchemaSQL.timeIndexName(kind)
            do {
                try connection.execute(
                    "DROP INDEX metrics.\(name); CREATE INDEX \(name) ON \(SchemaSQL.table(kind)) (time DESC)")
            } catch {
                Issue.record(error)
            }
        }
    }

    @Test(arguments: TestFlavour.allCases) func aLargeTableKeepsItsIndexUntilItsOperatorTurnsIt(
        _ flavour: TestFlavour
    ) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try Self.makeEarlier(connection, 3)
        try connection.execute(
            """
            INSERT INTO metrics.metric_points (time)
            SELECT now() FROM generate_series(1, 1000001);
            """)
        // As after an upgrade of the server: there are no statistics.
        try connection.execute(
            "SELECT pg_stat_reset(); UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relname LIKE '%chunk' OR relname LIKE 'metric_points%'"
        )
        #expect(try SchemaManager(connection).apply().isComplete)
        let advice = try SchemaManager(connection).inspect(TableTrial.refusal).advice.filter { $0.contains("descends") }
        #expect(advice.count == 1 && advice[0].contains("metrics.metric_points_time_idx"), "\(advice)")
    }

    /// A program of tomorrow: a column more, which today's may do without.
    private static let later =
        Migration.all + [
            Migration(number: Migration.all.count + 1, name: "a column more", needs: 2) { _ in
                ["ALTER TABLE metrics.routing_metrics ADD COLUMN IF NOT EXISTS cost_usd real"]
            }
        ]

    @Test(arguments: TestFlavour.allCases)
    func anOlderCollectorKeepsWorkingBesideANewerSchema(_ flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection, migrations: Self.later).apply()
        // It starts, finds nothing to do, and stores.
        let report = try SchemaManager(connection).apply()
        #expect(report.isComplete && report.changes.isEmpty && report.version == Self.later.count)
        var encoder = FrameEncoder()
        #expect(try encoder.append(RoutingRecord(time: 1, queryID: "q", complexityScore: 0.5)))
        let frame = try #require(
            encoder.finish(FrameIdentity(source: 1, session: 1, sequence: 0)) { $0.withUnsafeBytes { Array($0) } })
        let decoded = DecodedBatch()
        try frame.span.bytes.withUnsafeBytes { bytes in
            decoded.decode(bytes)
            let summary = BatchSummary(
                identity: BatchIdentity(epoch: 1, sequence: 1), recordCount: 1, frameCount: 1, byteCount: bytes.count,
                openedMicroseconds: 0, sessions: [])
            _ = try BatchWriter(connection, fence: CommitFence(key: 5)).store(summary, frames: bytes, decoded: decoded)
        }
        #expect(try connection.query("SELECT query_id, cost_usd FROM metrics.routing_metrics") == [["q", nil]])
    }

    @Test func aSchemaThatThisProgramCannotWorkWithIsRefused() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        let breaking =
            Migration.all + [Migration(number: Migration.all.count + 1, name: "breaks", needs: Migration.all.count + 1)]
        try SchemaManager(connection, migrations: breaking).apply()
        let error = try databaseError { () throws(DatabaseError) in try SchemaManager(connection).apply() }
        #expect(error.kind == .schemaTooNew(found: breaking.count, known: Migration.all.count))
        #expect(try !SchemaManager(connection).status().isComplete)
    }

    @Test(arguments: TestFlavour.allCases)
    func aColumnThatATableDoesNotHaveIsAdded(_ flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        // As if the kind had got the column since.
        try connection.execute(
            """
            ALTER TABLE metrics.rag_metrics DROP COLUMN total_rag_time_ms;
            INSERT INTO metrics.rag_metrics (time, query_id) VALUES (now(), 'old')
            """)
        let status = try SchemaManager(connection).inspect(TableTrial.refusal)
        #expect(!status.isComplete)
        #expect(status.tables.first { $0.name == "metrics.rag_metrics" }?.missingColumns == ["total_rag_time_ms"])
        #expect(status.warnings.contains { $0.contains("metrics.rag_metrics.total_rag_time_ms is missing") })
        let script = try SchemaManager(connection).dryRun()
        #expect(script.contains("ADD COLUMN IF NOT EXISTS total_rag_time_ms INTEGER"))
        #expect(try !SchemaManager(connection).status().isComplete, "a dry run changes nothing")
        let report = try SchemaManager(connection).apply()
        #expect(report.isComplete && report.changes == ["column total_rag_time_ms of metrics.rag_metrics"])
        #expect(try connection.query("SELECT query_id, total_rag_time_ms FROM metrics.rag_metrics") == [["old", nil]])
        #expect(try SchemaManager(connection).dryRun().isEmpty)
    }

    @Test func everyVersionOfAKindHasItsMigration() {
        for kind in MetricKind.allCases {
            for since in Set(kind.columns.map(\.since)) where since > 1 {
                let count = Migration.all.flatMap(\.columns).count { $0.kind == kind && $0.since == since }
                #expect(count == 1, "version \(since) of \(kind.name) stands in \(count) migrations")
            }
        }
        #expect(Migration.all.map(\.number) == Array(1...Migration.all.count))
        #expect(Migration.all.allSatisfy { $0.needs <= $0.number })
    }

    @Test func whatDiffersIsSaid() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        try SchemaManager(connection).apply()
        // The tests' servers write nothing to disk on purpose.
        func warnings() throws -> [String] {
            let durability = try SchemaManager(connection).durabilityWarnings()
            return try SchemaManager(connection).inspect(TableTrial.refusal).warnings.filter {
                !durability.contains($0)
            }
        }
        #expect(try warnings().isEmpty)
        try connection.execute(
            """
            ALTER TABLE metrics.memory_metrics ALTER COLUMN memory_tokens TYPE bigint;
            ALTER TABLE metrics.system_metrics ADD COLUMN room text NOT NULL
            """)
        let found = try warnings()
        #expect(found.count == 2)
        #expect(
            found.contains { $0.hasPrefix("metrics.memory_metrics.memory_tokens is bigint and must be integer") })
        #expect(found.contains { $0.hasPrefix("metrics.system_metrics.room is NOT NULL") })
    }
}
