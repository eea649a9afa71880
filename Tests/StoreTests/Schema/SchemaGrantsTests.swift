import LinuxSystem
import TestSupport
import Testing

@testable import StoreSchema
@testable import Postgres

@Suite struct SchemaGrantsTests {
    private struct Roles {
        let owner: DatabaseConnection
        let location: DatabaseLocation
        let collector: String
        let reader: String
    }

    /// A complete schema, and two roles whose names want quotes.
    private func roles(_ flavour: TestFlavour) throws -> Roles {
        let location = try TestServers.database(flavour)
        let owner = try DatabaseConnection(location)
        try SchemaManager(owner).apply()
        let (collector, reader) = ("Collector of \"\(location.database ?? "")\"", "reader-\(location.database ?? "")")
        for name in [collector, reader] {
            try owner.execute("CREATE ROLE \"\(name.replacing("\"", with: "\"\""))\" LOGIN")
        }
        let script = try SchemaGrants(collector: collector, readers: [reader]).script
        // What is psql's own is no statement.
        let statements = script.split(separator: "\n").filter { !$0.hasPrefix("\\") }.joined(separator: "\n")
        for _ in 0..<2 { try owner.execute(statements) }
        return Roles(owner: owner, location: location, collector: collector, reader: reader)
    }

    @Test(arguments: TestFlavour.allCases) func theCollectorMayStoreAndNothingElse(flavour: TestFlavour) throws {
        let roles = try roles(flavour)
        let collector = try DatabaseConnection(roles.location.with(user: roles.collector))
        let report = try SchemaManager(collector).apply()
        #expect(report.isComplete && report.changes.isEmpty && report.warnings.isEmpty, "\(report.warnings)")
        try collector.execute("INSERT INTO metrics.rag_metrics (time, query_id) VALUES (now(), 'q')")
        // A chunk of a day that has none yet.
        try collector.execute("INSERT INTO metrics.rag_metrics (time) VALUES (now() - interval '40 days')")
        for statement in [
            "SELECT * FROM metrics.rag_metrics", "DELETE FROM metrics.rag_metrics", "DELETE FROM spillway.dead_letters",
            "UPDATE spillway.batches SET records = 0", "CREATE TABLE metrics.t (a int)",
            "CREATE TABLE public.t (a int)",
            "DROP TABLE metrics.rag_metrics", "CREATE SCHEMA s", "INSERT INTO spillway.schema_version VALUES (99, '')",
        ] {
            let error = try databaseError { () throws(DatabaseError) in try collector.execute(statement) }
            #expect(error.sqlstate == .insufficientPrivilege, "\(statement): \(error)")
        }
    }

    @Test(arguments: TestFlavour.allCases) func readersReadTheMetricsAndNothingElse(flavour: TestFlavour) throws {
        let roles = try roles(flavour)
        try roles.owner.execute("INSERT INTO metrics.rag_metrics (time, query_id) VALUES (now(), 'q')")
        let reader = try DatabaseConnection(roles.location.with(user: roles.reader))
        #expect(try reader.query("SELECT query_id FROM metrics.rag_metrics") == [["q"]])
        try roles.owner.execute("CREATE TABLE metrics.made_later (a int)")
        #expect(try reader.query("SELECT * FROM metrics.made_later") == [])
        for statement in ["INSERT INTO metrics.rag_metrics (time) VALUES (now())", "SELECT * FROM spillway.batches"] {
            let error = try databaseError { () throws(DatabaseError) in try reader.execute(statement) }
            #expect(error.sqlstate == .insufficientPrivilege, "\(statement): \(error)")
        }
    }

    @Test(arguments: TestFlavour.allCases) func whatMayNotBeMadeAheadIsSaidInOneLine(flavour: TestFlavour) throws {
        let roles = try roles(flavour)
        let collector = try DatabaseConnection(roles.location.with(user: roles.collector))
        let manager = SchemaManager(collector, now: { wallClockMicroseconds() + 10 * 86_400_000_000 })
        let ahead = try manager.ensurePartitionsAhead()
        #expect(ahead.created.isEmpty && ahead.warnings.count == 1, "\(ahead)")
        #expect(ahead.warnings.first?.contains("spillway schema apply") == true)
        #expect(collector.isUsable && !collector.isInTransaction)
    }

    /// A new table is either the collector's business or not: somebody has to say which.
    @Test func everyTableOfTheCollectorIsThoughtOf() throws {
        let roles = try roles(.plain)
        let tables = try roles.owner.query(
            "SELECT relname FROM pg_class WHERE relnamespace = 'spillway'::regnamespace AND relkind IN ('r', 'p')")
        #expect(Set(tables.map { $0[0] ?? "" }) == Set(SchemaGrants.collectorRights.map(\.0)))
    }

    @Test(arguments: ["", String(repeating: "x", count: 64), "a\nb", "a\0b"])
    func namesThatNoRoleCanHaveAreRefused(name: String) {
        #expect(throws: SchemaGrants.BadName.self) { try SchemaGrants(collector: name) }
        #expect(throws: SchemaGrants.BadName.self) { try SchemaGrants(collector: "c", readers: [name]) }
    }
}
