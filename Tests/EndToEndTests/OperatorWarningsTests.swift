// What an operator has set up or changed so that records are at risk, or not stored, is shown at once and everywhere.

import Foundation
import Postgres
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct OperatorWarningsTests {
    private static func send(_ kind: String, _ count: Int, to collector: CollectorProcess) throws {
        let sent = try Programs.run([
            "send", "--to", "tcp://\(try collector.address("tcp"))", "--acknowledged", "--generate", kind, "--count",
            "\(count)",
        ])
        #expect(sent.status == 0, "\(sent.errors)")
    }

    /// Waits for a line in the warnings, and looks for it where else it must be.
    private static func expectWarning(
        _ text: String, _ collector: CollectorProcess, isInStatus url: String? = nil, logged: Bool = true
    ) throws {
        _ = try collector.waitForStats(seconds: 10) { $0.warnings.contains { $0.contains(text) } }
        let ready = try collector.get("/readyz")
        #expect(ready.status == 200 && ready.body.hasPrefix("ready\n") && ready.body.contains(text), "\(ready)")
        let count = try collector.get("/metrics").body.firstMatch(of: /\nspillway_warnings ([0-9]+)/)?.1
        #expect(count.flatMap { Int($0) } ?? 0 > 0)
        #expect(!logged || collector.logText.contains(text), "\(collector.logText)")
        guard let url else { return }
        let status = try Programs.run(["schema", "status", "--database", url])
        #expect(status.status == 0 && status.text.contains(text), "\(status.text)\(status.errors)")
    }

    @Test func aServerThatForgetsIsShown() throws {
        let server = try HostPostgres()
        defer { server.stop(SIGQUIT) }
        try server.start()
        let location = try server.makeDatabase("forgetful")
        let collector = try CollectorProcess(["--database", "\(location)", "--flush-interval", "20"])
        try Self.expectWarning("fsync is off on this server", collector, isInStatus: "\(location)")
        #expect(try collector.get("/metrics").body.contains("\nspillway_database_durability_faults 1.0\n"))
        let owner = try DatabaseConnection(location)
        try owner.execute("ALTER TABLE spillway.batches SET UNLOGGED")
        try Self.expectWarning("spillway.batches is unlogged", collector, isInStatus: "\(location)")
        try owner.execute("ALTER SYSTEM SET full_page_writes = off")
        try owner.execute("SELECT pg_reload_conf()")
        try Self.expectWarning("full_page_writes is off", collector, isInStatus: "\(location)")
        try owner.execute("ALTER TABLE spillway.batches SET LOGGED")
        try owner.execute("ALTER SYSTEM RESET full_page_writes")
        try owner.execute("SELECT pg_reload_conf()")
        _ = try collector.waitForStats(seconds: 15) { $0.warnings.count == 1 }
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    @Test(arguments: TestFlavour.allCases)
    func rowsThatATriggerSuppressesAreShownAndNotCountedAsCommitted(_ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let collector = try CollectorProcess(["--database", TestServers.url(location), "--flush-interval", "20"])
        let owner = try DatabaseConnection(location)
        try owner.execute(
            """
            CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
            CREATE TRIGGER nothing BEFORE INSERT ON metrics.rag_metrics FOR EACH ROW EXECUTE FUNCTION nothing()
            """)
        try Self.send("all", 900, to: collector)
        let stats = try collector.waitForStats { $0.unaccounted == 0 && $0["records_received"] == 900 }
        #expect(stats["records_suppressed"] == 100 && stats["records_committed"] == 800)
        #expect(stats.sources.map { $0.totals["records_suppressed"] ?? 0 } == [100])
        #expect(try owner.query("SELECT count(*) FROM metrics.rag_metrics") == [["0"]])
        try Self.expectWarning("trigger of metrics.rag_metrics has suppressed 100 rows", collector, logged: false)
        #expect(try collector.get("/metrics").body.contains("\nspillway_records_suppressed_total 100\n"))
        let shown = try Programs.run(["stats", "--http", collector.address("http")])
        #expect(shown.text.contains("suppressed by a trigger") && shown.text.contains("The books balance"))
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    @Test(arguments: TestFlavour.allCases)
    func aTableThatIsRenamedWhileRecordsComeInIsMadeAgain(_ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let collector = try CollectorProcess(["--database", TestServers.url(location), "--flush-interval", "20"])
        try Self.send("routing", 500, to: collector)
        let owner = try DatabaseConnection(location)
        try owner.execute("ALTER TABLE metrics.routing_metrics RENAME TO routing_metrics_archive")
        try Self.send("routing", 700, to: collector)
        let stats = try collector.waitForStats { $0.unaccounted == 0 && $0["records_in_spill"] == 0 }
        #expect(stats["records_committed"] == 1_200 && stats["records_dead_lettered"] == 0)
        #expect(try owner.query("SELECT count(*) FROM metrics.routing_metrics_archive") == [["500"]])
        #expect(try owner.query("SELECT count(*) FROM metrics.routing_metrics") == [["700"]])
        try Self.expectWarning(
            "belong to metrics.routing_metrics_archive", collector, isInStatus: TestServers.url(location))
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    @Test func aCollectorThatIsToldToLeavesAServerPlain() throws {
        let location = try TestServers.database(.timescale)
        let url = TestServers.url(location)
        let collector = try CollectorProcess(["--database", url, "--timescaledb", "off", "--flush-interval", "20"])
        try Self.send("all", 900, to: collector)
        #expect(collector.stop() == 0, "\(collector.logText)")
        let owner = try DatabaseConnection(location)
        #expect(try owner.query("SELECT FROM pg_extension WHERE extname = 'timescaledb'").isEmpty)
        #expect(
            try owner.query(
                "SELECT count(*) FROM pg_partitioned_table WHERE partrelid::regclass::text LIKE 'metrics.%'")
                == [["9"]])
        let second = TestServers.url(try TestServers.database(.timescale))
        let applied = try Programs.run(["schema", "apply", "--timescaledb", "off", "--database", second])
        #expect(applied.status == 0 && applied.text.contains("partitioned"), "\(applied.text)\(applied.errors)")
        let wrong = try Programs.run(["serve", "--timescaledb", "yes", "--print-configuration"])
        #expect(wrong.status == 78 && wrong.errors.contains("auto or off"), "\(wrong.errors)")
    }
}
