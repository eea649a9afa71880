// A table that accepts nothing: its records wait in the spill, the others are stored, and once its cause is removed all of them
// are stored once.

import Foundation
import Postgres
import StoreSchema
import TestSupport
import Testing

@Suite(.serialized) struct HeldTableTests {
    /// What an operator does to `metrics.routing_metrics`, the words of its reason, and what removes the cause.
    struct Trouble: CustomTestStringConvertible {
        let name: String
        let cause: String
        let reason: String
        /// Nil where the collector repairs it by itself.
        let repair: String?

        var testDescription: String { name }
    }

    private static let table = "metrics.routing_metrics"

    static let troubles = [
        Trouble(
            name: "another type of the same width",
            cause: "ALTER TABLE \(table) ALTER COLUMN complexity_score TYPE integer",
            reason: "complexity_score must be real",
            repair: "ALTER TABLE \(table) ALTER COLUMN complexity_score TYPE real"),
        Trouble(
            name: "a wider type", cause: "ALTER TABLE \(table) ALTER COLUMN tokens_estimated TYPE bigint",
            reason: "tokens_estimated must be integer",
            repair: "ALTER TABLE \(table) ALTER COLUMN tokens_estimated TYPE integer"),
        Trouble(
            name: "a trigger that misses its table",
            cause: """
                CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN INSERT INTO audit VALUES (1); RETURN NEW; END $$;
                CREATE TRIGGER note BEFORE INSERT ON \(table) FOR EACH ROW EXECUTE FUNCTION note()
                """, reason: "relation \"audit\" does not exist", repair: "CREATE TABLE audit (a int)"),
        Trouble(
            name: "a trigger that refuses every row in other words",
            cause: """
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE EXCEPTION 'no %', NEW.query_id; END $$;
                CREATE TRIGGER refuse BEFORE INSERT ON \(table) FOR EACH ROW EXECUTE FUNCTION refuse()
                """, reason: "no ", repair: "DROP FUNCTION refuse() CASCADE"),
        Trouble(
            name: "a column that wants a value",
            cause:
                "ALTER TABLE \(table) ADD COLUMN region text; ALTER TABLE \(table) ADD CHECK (region IS NOT NULL) NOT VALID",
            reason: "violates check constraint", repair: "ALTER TABLE \(table) DROP COLUMN region"),
        Trouble(
            name: "a view in its place",
            cause: "ALTER TABLE \(table) RENAME TO kept; CREATE VIEW \(table) AS SELECT * FROM metrics.kept",
            reason: "cannot copy to view",
            repair: "DROP VIEW \(table); ALTER TABLE metrics.kept RENAME TO routing_metrics"),
        Trouble(
            name: "a dropped column", cause: "ALTER TABLE \(table) DROP COLUMN model_selected",
            reason: "model_selected is missing", repair: nil),
        Trouble(
            name: "a dropped column of all kinds", cause: "ALTER TABLE \(table) DROP COLUMN tags",
            reason: "tags is missing", repair: nil),
        Trouble(name: "a dropped table", cause: "DROP TABLE \(table)", reason: "does not exist", repair: nil),
    ]

    private static func count(_ connection: DatabaseConnection, _ table: String) throws -> Int {
        Int(try connection.query("SELECT count(*) FROM \(table)")[0][0] ?? "") ?? -1
    }

    private static func send(_ collector: CollectorProcess, _ arguments: [String], tcp: Bool = true) throws {
        let to = tcp ? "tcp://\(try collector.address("tcp"))" : "udp://\(try collector.address("udp"))"
        let sent = try Programs.run(["send", "--to", to] + (tcp ? ["--acknowledged"] : []) + arguments)
        #expect(sent.status == 0, "\(sent.errors)")
    }

    /// Frames of all kinds: each has rows of the table that accepts nothing and of others.
    @Test(arguments: troubles, TestFlavour.allCases)
    func theOtherRowsAreStoredAndItsOwnWaitUntilTheCauseIsRemoved(_ trouble: Trouble, _ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let owner = try DatabaseConnection(location)
        let collector = try CollectorProcess([
            "--database", TestServers.url(location), "--flush-interval", "50", "--lanes", "2",
        ])
        // What the lanes know of the table is what it was.
        try Self.send(collector, ["--generate", "all", "--count", "900", "--seed", "1"])
        _ = try collector.waitForStats { $0["records_committed"] == 900 }
        try owner.execute(trouble.cause)
        try Self.send(collector, ["--generate", "all", "--count", "1800", "--seed", "2"])
        try Self.send(collector, ["--generate", "all", "--count", "900", "--seed", "3"], tcp: false)
        if let repair = trouble.repair {
            let stats = try collector.waitForStats(seconds: 20) {
                $0["records_committed"] == 900 + 2_400 && $0["records_in_spill"] == 300
            }
            #expect(stats["records_dead_lettered"] == 0)
            #expect(stats.unaccounted == 0)
            #expect(stats.gauges["tables_held"] == 1)
            #expect(stats.not_ready.isEmpty)
            let warning = try #require(stats.warnings.first { $0.contains(Self.table) }, "\(stats.warnings)")
            #expect(warning.contains(trouble.reason), "\(warning)")
            let ready = try collector.get("/readyz")
            #expect(ready.status == 200 && ready.body.contains(trouble.reason), "\(ready.body)")
            #expect(try collector.get("/metrics").body.contains("spillway_records_held{table=\"\(Self.table)\"} 300"))
            let status = try Programs.run(["schema", "status", "--database", TestServers.url(location)])
            #expect(status.text.contains(Self.table) && status.text.contains("warning"), "\(status.text)")
            #expect(try Self.count(owner, "metrics.memory_metrics") == 400)
            try owner.execute(repair)
        }
        let stats = try collector.waitForStats(seconds: 40) {
            $0["records_in_spill"] == 0 && $0["records_committed"] == 3_600
        }
        #expect(stats.unaccounted == 0 && stats["records_dead_lettered"] == 0)
        #expect(stats.gauges["tables_held"] == 0)
        for kind in ["routing_metrics", "memory_metrics", "system_metrics", "metric_points"] {
            let isRemade = trouble.name == "a dropped table" && kind == "routing_metrics"
            #expect(try Self.count(owner, "metrics.\(kind)") == (isRemade ? 300 : 400), "\(kind)")
        }
        #expect(try Self.count(owner, "spillway.batch_parts") == 0)
        #expect(try Self.count(owner, "spillway.dead_letters") == 0)
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    /// The records wait over a kill of the collector and over a stop of it, and are counted and stored once.
    @Test func recordsWaitOverAKillAndAStop() throws {
        let location = try TestServers.database(.plain)
        let owner = try DatabaseConnection(location)
        let spill = try Programs.temporaryFolder("spill")
        func start() throws -> CollectorProcess {
            try CollectorProcess([
                "--database", TestServers.url(location), "--flush-interval", "50", "--spill-directory", spill,
            ])
        }
        var collector = try start()
        try owner.execute("ALTER TABLE \(Self.table) ALTER COLUMN tokens_estimated TYPE bigint")
        try Self.send(collector, ["--generate", "all", "--count", "9000", "--seed", "4"])
        _ = try collector.waitForStats { $0["records_committed"] == 8_000 }
        _ = collector.stop(SIGKILL)
        collector = try start()
        var stats = try collector.waitForStats { $0["records_in_spill"] == 1_000 }
        #expect(stats["records_committed"] == 8_000 && stats.unaccounted == 0)
        #expect(collector.stop() == 0)
        #expect(try Self.count(owner, "metrics.memory_metrics") == 1_000)
        collector = try start()
        try owner.execute("ALTER TABLE \(Self.table) ALTER COLUMN tokens_estimated TYPE integer")
        stats = try collector.waitForStats { $0["records_in_spill"] == 0 }
        #expect(stats["records_committed"] == 9_000 && stats.unaccounted == 0)
        #expect(try Self.count(owner, Self.table) == 1_000)
        #expect(try Self.count(owner, "metrics.memory_metrics") == 1_000)
        #expect(collector.stop() == 0)
    }

    /// Row-level security refuses COPY before any row: no row is to blame.
    @Test func rowLevelSecurityIsARefusalOfTheTable() throws {
        let location = try TestServers.database(.plain)
        let owner = try DatabaseConnection(location)
        try SchemaManager(owner).apply()
        let role = "rls_\(UInt32.random(in: 0 ... .max))"
        try owner.execute("CREATE ROLE \(role) LOGIN PASSWORD 'x'")
        defer { _ = try? owner.execute("DROP OWNED BY \(role); DROP ROLE \(role)") }
        try owner.execute(
            try SchemaGrants(collector: role).script.split(separator: "\n").filter {
                !$0.hasPrefix("\\") && !$0.hasPrefix("--")
            }.joined(separator: "\n"))
        try owner.execute("ALTER TABLE \(Self.table) ENABLE ROW LEVEL SECURITY")
        let url = TestServers.url(location)
        let collector = try CollectorProcess(
            ["--database", url, "--flush-interval", "50"], environment: ["PGOPTIONS": "-c role=\(role)"])
        try Self.send(collector, ["--generate", "routing", "--count", "3000", "--seed", "5"])
        let stats = try collector.waitForStats { $0.gauges["tables_held"] == 1 && $0["records_in_spill"] == 3_000 }
        #expect(stats["records_dead_lettered"] == 0)
        #expect(stats.warnings.contains { $0.contains("row-level security") }, "\(stats.warnings)")
        try owner.execute("ALTER TABLE \(Self.table) DISABLE ROW LEVEL SECURITY")
        _ = try collector.waitForStats { $0["records_committed"] == 3_000 && $0["records_in_spill"] == 0 }
        #expect(try Self.count(owner, Self.table) == 3_000)
        #expect(try Self.count(owner, "spillway.dead_letters") == 0)
        #expect(collector.stop() == 0)
    }

    /// TCP clients alone: the first statement that meets the table is a question for stored frames.
    @Test(arguments: ["session_frames", "batches", "batch_parts", "dead_letters"])
    func aTableOfTheCollectorsOwnIsMadeAgain(_ name: String) throws {
        let location = try TestServers.database(.plain)
        let owner = try DatabaseConnection(location)
        let collector = try CollectorProcess(["--database", TestServers.url(location), "--flush-interval", "50"])
        try owner.execute("DROP TABLE spillway.\(name)")
        // Of the dead letters nothing is noticed before there is one.
        if name == "dead_letters" {
            try owner.execute("ALTER TABLE \(Self.table) ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%7')")
        }
        try Self.send(collector, ["--generate", "routing", "--count", "500", "--seed", "6"])
        let stats = try collector.waitForStats(seconds: 30) {
            $0["records_in_spill"] == 0 && $0["records_committed"] + $0["records_dead_lettered"] == 500
        }
        #expect(stats.unaccounted == 0)
        #expect(try Self.count(owner, Self.table) == stats["records_committed"])
        #expect(try Self.count(owner, "spillway.dead_letters") == stats["records_dead_lettered"])
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    /// An operator's session has locked the table and is left open.
    @Test func aLockThatStaysHoldsUpItsOwnTableAlone() throws {
        let location = try TestServers.database(.plain)
        let owner = try DatabaseConnection(location)
        let collector = try CollectorProcess(["--database", TestServers.url(location), "--flush-interval", "50"])
        let other = try DatabaseConnection(location)
        try other.execute("BEGIN; LOCK TABLE \(Self.table) IN ACCESS EXCLUSIVE MODE")
        try Self.send(collector, ["--generate", "all", "--count", "900", "--seed", "8"])
        let stats = try collector.waitForStats(seconds: 10) { $0["records_committed"] == 800 }
        #expect(stats.warnings.contains { $0.contains(Self.table) && $0.contains("lock timeout") }, "\(stats.warnings)")
        try other.execute("COMMIT")
        _ = try collector.waitForStats(seconds: 30) { $0["records_committed"] == 900 }
        #expect(try Self.count(owner, Self.table) == 100)
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    /// When spill and memory are full of records that wait, nothing more can be taken, and both reasons are shown.
    @Test func aSpillThatIsFullOfThemIsShownWithTheTablesReason() throws {
        let location = try TestServers.database(.plain)
        let owner = try DatabaseConnection(location)
        let collector = try CollectorProcess([
            "--database", TestServers.url(location), "--flush-interval", "20", "--lanes", "1", "--batch-records", "500",
            "--spill-quota", "1048576",
        ])
        try owner.execute("ALTER TABLE \(Self.table) ALTER COLUMN tokens_estimated TYPE bigint")
        try Self.send(collector, ["--generate", "routing", "--count", "60000", "--seed", "9"], tcp: false)
        let deadline = Date().addingTimeInterval(30)
        var ready = try collector.get("/readyz")
        while ready.status != 503, Date() < deadline {
            usleep(100_000)
            ready = try collector.get("/readyz")
        }
        #expect(ready.status == 503)
        #expect(
            ready.body.contains("the spill is full") && ready.body.contains("tokens_estimated must be integer"),
            "\(ready.body)")
        try owner.execute("ALTER TABLE \(Self.table) ALTER COLUMN tokens_estimated TYPE integer")
        let stats = try collector.waitForStats(seconds: 60) {
            $0["records_in_spill"] == 0 && $0.gauges["tables_held"] == 0 && $0.unaccounted == 0
        }
        #expect(try Self.count(owner, Self.table) == stats["records_committed"])
        ready = try collector.get("/readyz")
        #expect(ready.status == 200 && !ready.body.contains(Self.table), "\(ready.body)")
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    /// One client sends nothing but rows that a constraint refuses: the table takes others, so these are dead letters.
    @Test func manyRefusedRowsOfOneClientAreNoRefusalOfTheTable() throws {
        let location = try TestServers.database(.plain)
        let owner = try DatabaseConnection(location)
        let collector = try CollectorProcess(["--database", TestServers.url(location), "--flush-interval", "50"])
        try owner.execute("ALTER TABLE \(Self.table) ADD CONSTRAINT picky CHECK (query_id IS NULL)")
        try Self.send(collector, ["--generate", "routing", "--count", "400", "--seed", "7"])
        let stats = try collector.waitForStats { $0["records_dead_lettered"] == 400 }
        #expect(stats.gauges["tables_held"] == 0 && stats["records_in_spill"] == 0)
        #expect(collector.stop() == 0)
    }
}
