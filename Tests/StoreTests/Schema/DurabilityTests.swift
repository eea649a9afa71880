// What can lose what was acknowledged, and what no session can set, is reported.

import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreWriter
@testable import Postgres

@Suite struct DurabilityTests {
    @Test(arguments: TestFlavour.local) func settingsOfTheServerAreReported(_ flavour: TestFlavour) throws {
        // The tests' servers are like that on purpose.
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply(daysAhead: 0)
        let lines = try SchemaManager(connection).durabilityWarnings()
        #expect(lines.count == 2 && lines[0].hasPrefix("fsync is off") && lines[1].hasPrefix("full_page_writes is off"))
        #expect(lines.allSatisfy { $0.contains("set it to on") })
        #expect(try SchemaManager(connection).inspect(TableTrial.refusal).warnings.prefix(0).isEmpty)
        #expect(try Set(SchemaManager(connection).inspect(TableTrial.refusal).warnings).isSuperset(of: lines))
    }

    @Test(arguments: TestFlavour.allCases) func unloggedTablesAreReported(_ flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply(daysAhead: 0)
        let before = try SchemaManager(connection).durabilityWarnings()
        try connection.execute(
            """
            CREATE UNLOGGED TABLE metrics.own (a int);
            ALTER TABLE spillway.session_frames SET UNLOGGED
            """)
        var expected = ["spillway.session_frames is unlogged"]
        if flavour == .plain {
            try connection.execute("ALTER TABLE metrics.rag_metrics_default SET UNLOGGED")
            expected.insert("metrics.rag_metrics_default is unlogged", at: 0)
        }
        let lines = try SchemaManager(connection).durabilityWarnings().filter { !before.contains($0) }
        #expect(lines.count == expected.count, "\(lines)")
        for (line, beginning) in zip(lines, expected) {
            #expect(line.hasPrefix(beginning) && line.contains("SET LOGGED"))
        }
    }
}
