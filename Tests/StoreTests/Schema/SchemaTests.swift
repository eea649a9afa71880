import Delivery
import Foundation
import LinuxSystem
import MetricKinds
import TestSupport
import Testing

@testable import StoreSchema
@testable import Postgres

@Suite struct SchemaTests {
    private static let micros: Int64 = 86_400_000_000

    @Test(arguments: TestFlavour.allCases) func applyMakesEverythingAndIsIdempotent(flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        let empty = try SchemaManager(connection).status()
        #expect(!empty.isComplete && empty.version == nil)
        #expect(empty.tables.allSatisfy { $0.layout == .missing })

        let first = try SchemaManager(connection).apply()
        #expect(first.isComplete && first.version == SchemaSQL.version && first.warnings.isEmpty)
        #expect(first.server.flavour == flavour.flavour)
        #expect(first.tables.map(\.name).count == 9)
        #expect(first.tables.allSatisfy { $0.layout == (flavour == .plain ? .partitioned : .hypertable) })
        #expect(first.changes.contains("schema metrics") && first.changes.contains("table metrics.routing_metrics"))

        let second = try SchemaManager(connection).apply()
        #expect(second.changes.isEmpty && second.warnings.isEmpty && second.isComplete)
    }

    @Test(arguments: TestFlavour.allCases) func columnsAreTheKindsInTheirOrder(flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        let names: [ColumnType: String] = [
            .text: "text", .int32: "integer", .int64: "bigint", .float32: "real", .float64: "double precision",
            .bool: "boolean",
        ]
        for kind in MetricKind.allCases {
            let rows = try connection.query(
                """
                SELECT column_name, data_type, is_nullable FROM information_schema.columns
                WHERE table_schema = 'metrics' AND table_name = $1 ORDER BY ordinal_position
                """, [kind.tableName])
            var expected: [[String?]] = [["time", "timestamp with time zone", "NO"]]
            expected += kind.columns.map { [$0.name, names[$0.type], "YES"] }
            expected += [["tags", "jsonb", "YES"], ["metadata", "jsonb", "YES"]]
            #expect(rows == expected, "\(kind)")
        }
    }

    @Test(arguments: TestFlavour.allCases) func eightCollectorsMayStartAtOnce(flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let results = Collected()
        let threads = try (0..<8).map { index in
            try NamedThread(name: "apply-\(index)") {
                do {
                    let report = try SchemaManager(DatabaseConnection(location)).apply()
                    results.append(report.isComplete ? "complete" : "incomplete")
                } catch {
                    results.append("\(error)")
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(results.all == [String](repeating: "complete", count: 8))
    }

    @Test(arguments: TestFlavour.allCases) func aNewerSchemaIsRefused(flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        try connection.execute("INSERT INTO spillway.schema_version (version, name) VALUES (99, 'later')")
        let error = try databaseError { () throws(DatabaseError) in try SchemaManager(connection).apply() }
        #expect(error.kind == .schemaTooNew(found: 99, known: SchemaSQL.version))
        #expect(error.description.contains("upgrade the program") && !error.isTransient)
        #expect(!connection.isInTransaction)
    }

    @Test(arguments: TestFlavour.allCases) func aDroppedTableIsMadeAgainBesideTheOthers(flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        try connection.execute("INSERT INTO metrics.rag_metrics (time, query_id) VALUES (now(), 'q')")
        for table in ["metrics.memory_metrics", "spillway.dead_letters"] {
            try connection.execute("DROP TABLE \(table)")
        }
        let report = try SchemaManager(connection).apply()
        #expect(report.isComplete)
        #expect(report.changes.contains("table metrics.memory_metrics"))
        #expect(report.changes.contains("table spillway.dead_letters"))
        #expect(try connection.query("SELECT query_id FROM metrics.rag_metrics") == [["q"]])
    }

    @Test(arguments: TestFlavour.allCases) func aRoleThatMayOnlyWriteCanStart(flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let owner = try DatabaseConnection(location)
        try SchemaManager(owner).apply()
        let name = "writer_\(location.database ?? "")"
        try owner.execute(
            """
            CREATE ROLE \(name) LOGIN;
            GRANT USAGE ON SCHEMA metrics, spillway TO \(name);
            GRANT INSERT ON ALL TABLES IN SCHEMA metrics, spillway TO \(name);
            GRANT SELECT ON spillway.schema_version TO \(name)
            """)
        let writer = try DatabaseConnection(location.with(user: name))
        let report = try SchemaManager(writer).apply()
        #expect(report.isComplete && report.changes.isEmpty && report.warnings.isEmpty)
        #expect(try SampleBatch(sequence: 1, days: [0, 0], kind: .routing).store(writer) == StoredBatch())
        let again = try SampleBatch(sequence: 1, days: [0, 0], kind: .routing).store(writer)
        #expect(again.wasStoredBefore)

        // Something is to be done and may not be: one clear line.
        try owner.execute("DROP TABLE metrics.memory_metrics")
        let error = try databaseError { () throws(DatabaseError) in try SchemaManager(writer).apply() }
        #expect(error.sqlstate == .insufficientPrivilege)
        #expect(!error.description.contains("\n"))
    }

    @Test func withoutTheRightToCreateTheExtensionTheDatabaseStaysPlain() throws {
        let location = try TestServers.database(.timescale)
        let owner = try DatabaseConnection(location)
        let name = "maker_\(location.database ?? "")"
        try owner.execute(
            "CREATE ROLE \(name) LOGIN; GRANT CREATE ON DATABASE \(location.database ?? "") TO \(name)")
        // TimescaleDB's extension is trusted: only a role without CREATE on the database lacks the right, so the
        // schemas are there first.
        try owner.execute(
            """
            REVOKE CREATE ON DATABASE \(location.database ?? "") FROM \(name);
            CREATE SCHEMA metrics AUTHORIZATION \(name); CREATE SCHEMA spillway AUTHORIZATION \(name)
            """)
        let maker = try DatabaseConnection(location.with(user: name))
        let report = try SchemaManager(maker).apply()
        #expect(report.isComplete && report.server.flavour == .plain)
        #expect(report.warnings.contains { $0.contains("CREATE EXTENSION timescaledb") })
        #expect(report.tables.allSatisfy { $0.layout == .partitioned })

        // The extension comes later: the tables keep their partitions, and a dropped one gets them too.
        try owner.execute("CREATE EXTENSION timescaledb; DROP TABLE metrics.rag_metrics")
        let later = try SchemaManager(maker).apply()
        #expect(later.isComplete && later.server.flavour == .timescaleApache)
        #expect(later.tables.allSatisfy { $0.layout == .partitioned })
        #expect(later.warnings.count == 9)
    }

    @Test(arguments: [Flavour.plain, .timescaleApache]) func theScriptMakesWhatApplyMakes(flavour: Flavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour == .plain ? .plain : .timescale))
        for _ in 0..<2 { try connection.execute(SchemaSQL.script(flavour)) }
        let report = try SchemaManager(connection).status()
        #expect(report.isComplete && report.warnings.isEmpty)
        #expect(try SchemaManager(connection).apply().changes.allSatisfy { $0.hasPrefix("chunk of") })
    }

    @Test func estimatesFollowTheRows() throws {
        for flavour in TestFlavour.allCases {
            let connection = try DatabaseConnection(TestServers.database(flavour))
            let manager = SchemaManager(connection)
            try manager.apply()
            try connection.execute(
                "INSERT INTO metrics.routing_metrics (time) SELECT now() FROM generate_series(1, 1000)")
            try connection.execute("ANALYZE metrics.routing_metrics")
            let table = try manager.status().tables.first { $0.name == "metrics.routing_metrics" }
            #expect(table?.rowsEstimated == 1_000)
        }
    }
}

extension DatabaseLocation {
    /// The embedded servers trust every user on their socket.
    func with(user: String) -> DatabaseLocation {
        DatabaseLocation(keywords: keywords.merging(["user": user]) { _, new in new })
    }
}
