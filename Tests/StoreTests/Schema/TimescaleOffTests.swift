// A database that is to be plain stays plain, whatever its server offers.

import Delivery
import EmbeddedPostgres
import TestSupport
import Testing

@testable import StoreSchema
@testable import Postgres

@Suite struct TimescaleOffTests {
    private static func check(_ connection: DatabaseConnection, _ report: SchemaReport) throws {
        #expect(report.isComplete && report.warnings.isEmpty, "\(report.warnings)")
        #expect(report.tables.allSatisfy { $0.layout == .partitioned && $0.partitionsAhead == 3 })
        #expect(try connection.query("SELECT FROM pg_extension WHERE extname = 'timescaledb'").isEmpty)
        #expect(try SampleBatch(sequence: 1, days: [0, 40], kind: .routing).store(connection) == StoredBatch())
    }

    @Test func aServerWithTimescaleGetsNativePartitionsWhereItIsNotWanted() throws {
        let connection = try DatabaseConnection(TestServers.database(.timescale))
        try Self.check(connection, SchemaManager(connection, usesTimescale: false).apply())
        // And later programs, who are not told, keep to it.
        let later = try SchemaManager(connection).apply()
        #expect(later.changes.isEmpty && later.tables.allSatisfy { $0.layout == .partitioned })
        #expect(try connection.query("SELECT FROM pg_extension WHERE extname = 'timescaledb'").isEmpty)
    }

    @Test func theDatabaseOrTheServerCanSayIt() throws {
        let location = try TestServers.database(.timescale)
        try DatabaseConnection(location).execute(
            "ALTER DATABASE \(location.database ?? "") SET spillway.timescaledb = 'off'")
        let connection = try DatabaseConnection(location)
        try Self.check(connection, SchemaManager(connection).apply())

        // As the tests' plain server is started, with programs that have TimescaleDB.
        let server = try EmbeddedServer(
            directory: "\(TestServers.folder.get())/off", programs: TestServers.programs(.timescale), environment: [:],
            usesTimescale: false, isDurable: false, logger: quietLogger)
        try server.start()
        defer { server.stop() }
        let own = try DatabaseConnection(server.location)
        try Self.check(own, SchemaManager(own).apply())
    }

    /// The extension is in the database already, for others.
    @Test(arguments: TestFlavour.allCases.filter { $0 != .plain })
    func theExtensionOfOthersIsLeftAlone(_ flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try connection.execute("CREATE EXTENSION timescaledb")
        let report = try SchemaManager(connection, usesTimescale: false).apply()
        #expect(report.isComplete && report.warnings.isEmpty, "\(report.warnings)")
        #expect(report.tables.allSatisfy { $0.layout == .partitioned })
        #expect(try SampleBatch(sequence: 1, days: [0], kind: .routing).store(connection) == StoredBatch())
    }

    @Test(arguments: TestFlavour.allCases.filter { $0 != .plain })
    func tablesThatAreHypertablesStayThem(_ flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        try connection.execute("DROP TABLE metrics.rag_metrics")
        let report = try SchemaManager(connection, usesTimescale: false).apply()
        #expect(report.isComplete && report.tables.allSatisfy { $0.layout == .hypertable })
        #expect(report.warnings.count == 1 && report.warnings[0].hasPrefix("TimescaleDB is turned off"))
    }
}
