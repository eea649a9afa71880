// The collector as a role that may do no more than `schema grants` says: it stores all kinds, spills and replays, keeps dead
// letters, acknowledges, and complains of nothing but, once, of what its owner has to do.

import EmbeddedPostgres
import Foundation
import Postgres
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct LeastPrivilegeTests {
    @Test(arguments: TestFlavour.local)
    func aRoleWithTheDocumentedRightsDoesTheCollectorsWork(_ flavour: TestFlavour) throws {
        let server = try TestServers.ownServer(flavour)
        defer { server.stop() }
        let ownerURL = TestServers.url(server.location)
        #expect(try Programs.run(["schema", "apply", "--database", ownerURL]).status == 0)
        let owner = try DatabaseConnection(server.location)
        try owner.execute("CREATE ROLE \"the collector\" LOGIN")
        let grants = try Programs.run(["schema", "grants", "--role", "the collector"])
        #expect(grants.status == 0, "\(grants.errors)")
        // What is psql's own is no statement.
        try owner.execute(
            grants.text.split(separator: "\n").filter { !$0.hasPrefix("\\") }.joined(separator: "\n"))
        try owner.execute("ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%7')")
        // Nothing is there ahead of time.
        if flavour == .timescale {
            try owner.execute(
                """
                SELECT drop_chunks(format('%I.%I', hypertable_schema, hypertable_name)::regclass, now() + interval '9 days')
                FROM timescaledb_information.hypertables
                """)
        }
        let logLinesBefore = try Self.refusals(server)

        let url = ownerURL.replacing("//postgres@", with: "//the%20collector@")
        let port = try Torture.freePort()
        let collector = try CollectorProcess([
            "--database", url, "--tcp", "127.0.0.1:\(port)", "--flush-interval", "20", "--batch-records", "5000",
            "--days-ahead", "9",
        ])
        func send(_ kind: String, _ count: Int) throws {
            let sent = try Programs.run([
                "send", "--to", "tcp://127.0.0.1:\(port)", "--acknowledged", "--generate", kind, "--count", "\(count)",
            ])
            #expect(sent.status == 0, "\(sent.errors)")
        }
        try send("all", 9_000)
        try send("routing", 1_000)
        var stats = try collector.waitForStats { $0.unaccounted == 0 && $0["records_in_spill"] == 0 }
        #expect(stats["records_dead_lettered"] > 50)

        let sessions = try owner.query(
            "SELECT usename, application_name FROM pg_stat_activity WHERE usename <> 'postgres'")
        #expect(sessions.allSatisfy { $0[0] == "the collector" })
        let names = Set(sessions.compactMap { $0[1] })
        #expect(names.isSuperset(of: ["spillway lane 0", "spillway lane 1", "spillway keeper"]), "\(names)")

        server.stop()
        try send("all", 9_000)
        stats = try collector.waitForStats { $0["records_in_spill"] > 0 }
        try server.start()
        stats = try collector.waitForStats { $0.unaccounted == 0 && $0["records_in_spill"] == 0 }
        #expect(stats["records_replayed"] > 0)
        // The keeper's rounds have come: compaction and the look into the default partitions.
        usleep(1_500_000)
        #expect(collector.stop() == 0, "\(collector.logText)")

        let again = try DatabaseConnection(server.location)
        let counts = try again.query(
            """
            SELECT (SELECT sum(records) FROM spillway.batches), (SELECT sum(records) FROM spillway.dead_letters),
                (SELECT count(*) FROM metrics.routing_metrics), (SELECT count(*) FROM metrics.metric_points),
                (SELECT count(*) FROM spillway.session_frames)
            """)[0].map { Int($0 ?? "") ?? -1 }
        #expect(counts[0] + counts[1] >= 19_000, "\(counts)")
        #expect(counts[1] == stats["records_dead_lettered"] && counts[2] > 1_000 && counts[3] == 2_000 && counts[4] > 0)

        let log = collector.logText
        #expect(!log.contains(" error "), "\(log)")
        #expect(log.components(separatedBy: "may not make partitions and chunks ahead").count == 2, "\(log)")
        // One refusal for each look, not one for each table and day.
        let refused = try Self.refusals(server) - logLinesBefore
        #expect(refused > 0 && refused <= 6, "\(refused)")
    }

    /// What the server wrote of rights that were missing.
    private static func refusals(_ server: EmbeddedServer) throws -> Int {
        try String(contentsOfFile: server.logFile, encoding: .utf8).components(separatedBy: "permission denied").count
            - 1
    }

    @Test func grantsAreForNamesThatARoleCanHave() throws {
        let quoted = try Programs.run(["schema", "grants", "--role", "a\"; DROP TABLE x; --", "--readers", "r"])
        #expect(quoted.status == 0)
        #expect(quoted.text.contains("TO \"a\"\"; DROP TABLE x; --\";"), "\(quoted.text)")
        #expect(quoted.text.contains("GRANT SELECT ON ALL TABLES IN SCHEMA metrics TO \"r\";"))
        let empty = try Programs.run(["schema", "grants", "--role", ""])
        #expect(empty.status == 64 && empty.errors.split(separator: "\n").count == 1, "\(empty.errors)")
    }
}
