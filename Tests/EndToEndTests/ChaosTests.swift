// An operator who tries everything, seeded, while clients send: tables altered, renamed, dropped, detached, locked and revoked,
// passwords changed, a full disk, files of the spill removed, signals, restarts of the server and of the collector.

import Foundation
import Postgres
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(60))) struct ChaosTests {
    @Test func whateverAnOperatorDoesNothingAcknowledgedIsLostOrDoubled() throws {
        let chaos = try Chaos()
        defer { chaos.end() }
        var generator = Torture.generator("chaos")
        let deadline = Date().addingTimeInterval(Double(Torture.count(45, 1_200)))
        try chaos.send(seconds: Torture.count(45, 1_200))
        // All of them in a random order, then random ones: a short run tries other ones each time.
        var faults = Chaos.Fault.allCases.shuffled(using: &generator)
        while Date() < deadline {
            if faults.isEmpty { faults = Chaos.Fault.allCases.shuffled(using: &generator) }
            try chaos.run(faults.removeLast(), &generator)
        }
        try chaos.finish()
    }
}

/// The servers and clients, and what is done to them. For the test's thread.
private final class Chaos {
    enum Fault: CaseIterable {
        case columnOfAnotherType, tableRenamed, columnDropped, lettersDropped, viewInPlace, partitionDetached,
            tableLocked
        case insertRevoked, passwordChanged, serverRestarted, serverKilled, diskFull, spillFilesRemoved, harmlessSignals
        case collectorStopped, collectorKilled, readOnlyByDefault, rowLevelSecurity, raisingTrigger, noConnectionsLeft
        case schemaDropped, timeoutsByDefault
    }

    /// Each fault, by SPILLWAY_SEED: a run that is repeated is looked at.
    private static let isTalkative = ProcessInfo.processInfo.environment["SPILLWAY_SEED"] != nil
    private static let password = "first"
    private let server: HostPostgres
    private let administrator: DatabaseLocation
    private let folder: String
    private let arguments: [String]
    private let environment: [String: String]
    private let tcp: UInt16
    private let udp: UInt16
    private var collector: CollectorProcess
    private var senders: [Process] = []
    private var datagrams: Process?
    private var expected: [(kind: String, count: Int)] = []
    private var tried: [String: Int] = [:]
    private var slowestShown = 0.0
    private var archives = 0

    init() throws {
        server = try HostPostgres()
        try server.start(["max_connections=40"])
        let root = try DatabaseConnection(server.location())
        try root.execute("CREATE ROLE keeper LOGIN PASSWORD '\(Self.password)'")
        try root.execute("CREATE DATABASE chaos OWNER keeper")
        administrator = try server.location(database: "chaos")
        try server.setAccessRules(["host all postgres 127.0.0.1/32 trust", "host all all 127.0.0.1/32 scram-sha-256"])
        folder = try Programs.temporaryFolder("chaos")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        _ = try Shell.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", folder])
        tcp = try Torture.freePort()
        udp = try Torture.freePort()
        arguments = [
            "--database", "postgresql://keeper@127.0.0.1:\(server.port)/chaos", "--tcp", "127.0.0.1:\(tcp)", "--udp",
            "127.0.0.1:\(udp)", "--spill-directory", folder + "/spill", "--spill-free-percent", "0", "--spill-quota",
            "48MiB", "--flush-interval", "50",
        ]
        environment = ["PGPASSWORD": Self.password]
        collector = try CollectorProcess(arguments, environment: environment)
    }

    func end() {
        for process in senders + [datagrams].compactMap(\.self) where process.isRunning {
            kill(process.processIdentifier, SIGKILL)
        }
        _ = collector.stop(SIGKILL)
        server.stop(SIGQUIT)
        do { _ = try Shell.run(["umount", "-l", folder]) } catch { print("\(error)") }
    }

    /// Starts clients that want every record acknowledged.
    func send(seconds: Int) throws {
        senders.append(
            try Torture.sender(tcp, count: 1_000 * seconds, rate: 1_000, ["--seed", "1", "--source", "one"]))
        let all = 900 * seconds
        senders.append(
            try Torture.sender(
                tcp, count: all, rate: 900, ["--generate", "all", "--seed", "2", "--source", "all"]))
        expected = Self.kinds.map { ($0, all / 9 + ($0 == "routing" ? 1_000 * seconds : 0)) }
    }

    private static let kinds = [
        "routing", "memory", "attention", "compute", "execution", "agent_evolution", "rag", "system",
    ]

    private func keepDatagramsComing() throws {
        if datagrams?.isRunning == true { return }
        let process = Process()
        process.executableURL = Programs.spillway
        process.arguments = [
            "send", "--to", "udp://127.0.0.1:\(udp)", "--generate", "point", "--count", "2000", "--rate", "300",
        ]
        process.environment = Programs.cleanEnvironment([:])
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        datagrams = process
    }

    // MARK: Faults

    func run(_ fault: Fault, _ generator: inout SeededGenerator) throws {
        try keepDatagramsComing()
        tried["\(fault)", default: 0] += 1
        if Torture.isLong || Chaos.isTalkative { print("chaos: \(fault)") }
        let seconds = Double.random(in: 0.2...2, using: &generator)
        let root = try DatabaseConnection(administrator)
        switch fault {
        case .columnOfAnotherType:
            try change(root, "ALTER TABLE metrics.rag_metrics ALTER COLUMN query_id TYPE bytea USING NULL")
            try shows(["metrics.rag_metrics.query_id must be text"], seconds)
            try change(root, "ALTER TABLE metrics.rag_metrics ALTER COLUMN query_id TYPE text USING NULL")
        case .tableRenamed:
            // After the last time it is made again by a collector, which may have been away.
            try waitForTable("metrics.compute_metrics", root)
            archives += 1
            try change(root, "ALTER TABLE metrics.compute_metrics RENAME TO compute_metrics_archive\(archives)")
            try shows(["belong to metrics.compute_metrics_archive"], seconds)
        case .columnDropped:
            try change(root, "ALTER TABLE metrics.execution_metrics DROP COLUMN IF EXISTS language")
            pause(seconds)
        case .lettersDropped:
            try root.execute("DROP TABLE IF EXISTS spillway.dead_letters")
            pause(seconds)
        case .viewInPlace:
            try change(
                root,
                """
                ALTER TABLE metrics.attention_metrics RENAME TO attention_hidden;
                CREATE VIEW metrics.attention_metrics AS SELECT * FROM metrics.attention_hidden
                """)
            try shows(["metrics.attention_metrics"], seconds)
            try change(
                root,
                "DROP VIEW metrics.attention_metrics; ALTER TABLE metrics.attention_hidden RENAME TO attention_metrics")
        case .partitionDetached:
            let rows = try root.query(
                """
                SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'metrics.agent_evolution_metrics'::regclass
                AND pg_get_expr((SELECT relpartbound FROM pg_class WHERE oid = inhrelid), inhrelid) <> 'DEFAULT' ORDER BY 1
                """)
            if let partition = rows.randomElement(using: &generator)?[0] {
                try change(root, "ALTER TABLE metrics.agent_evolution_metrics DETACH PARTITION \(partition)")
            }
            pause(seconds)
        case .tableLocked:
            try root.begin()
            try root.execute("LOCK TABLE metrics.system_metrics IN ACCESS EXCLUSIVE MODE")
            try shows(["lock timeout", "lock"], seconds)
            try root.commit()
        case .insertRevoked:
            try root.execute("REVOKE INSERT ON metrics.memory_metrics FROM keeper")
            try shows(["permission denied for table memory_metrics"], seconds)
            try root.execute("GRANT INSERT ON metrics.memory_metrics TO keeper")
        case .passwordChanged:
            try root.execute("ALTER ROLE keeper PASSWORD 'second'")
            try endSessions(root)
            try shows(["password authentication failed"], seconds)
            try root.execute("ALTER ROLE keeper PASSWORD '\(Self.password)'")
        case .serverRestarted, .serverKilled:
            server.stop(fault == .serverKilled ? SIGKILL : SIGINT)
            try shows(["the database is unavailable"], seconds)
            try server.start(["max_connections=40"])
        case .diskFull:
            _ = try Shell.run(["dd", "if=/dev/zero", "of=\(folder)/ballast", "bs=64k", "count=2000", "status=none"])
            server.stop()
            try shows(["No space left", "the spill takes no batches", "is full", "the disk"], seconds)
            unlink(folder + "/ballast")
            try server.start(["max_connections=40"])
        case .spillFilesRemoved:
            server.stop()
            _ = try collector.waitForStats(seconds: 20) { $0["records_in_spill"] > 0 }
            for name in try FileManager.default.contentsOfDirectory(atPath: folder + "/spill")
            where name.hasSuffix(".lz4") && Bool.random(using: &generator) {
                unlink("\(folder)/spill/\(name)")
            }
            pause(seconds)
            try server.start(["max_connections=40"])
        case .harmlessSignals:
            for signal in [SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGWINCH, SIGALRM, SIGVTALRM] {
                kill(collector.processID, signal)
                usleep(10_000)
            }
        case .collectorStopped, .collectorKilled:
            let status = collector.stop(fault == .collectorKilled ? SIGKILL : SIGTERM)
            if fault == .collectorStopped { #expect(status == 0, "\(collector.logText)") }
            collector = try CollectorProcess(arguments, environment: environment)
        case .readOnlyByDefault, .timeoutsByDefault:
            let setting =
                fault == .readOnlyByDefault ? "default_transaction_read_only = on" : "statement_timeout = '20ms'"
            try root.execute("ALTER DATABASE chaos SET \(setting)")
            try endSessions(root)
            pause(seconds)
            try server.location().reset(setting)
        case .rowLevelSecurity:
            try change(
                root,
                """
                ALTER TABLE metrics.system_metrics ENABLE ROW LEVEL SECURITY;
                ALTER TABLE metrics.system_metrics FORCE ROW LEVEL SECURITY
                """)
            try shows(["row-level security"], seconds)
            try change(
                root,
                """
                ALTER TABLE metrics.system_metrics NO FORCE ROW LEVEL SECURITY;
                ALTER TABLE metrics.system_metrics DISABLE ROW LEVEL SECURITY
                """)
        case .raisingTrigger:
            try root.execute(
                """
                CREATE OR REPLACE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = '42P01'; END $$;
                CREATE TRIGGER no BEFORE INSERT ON metrics.memory_metrics FOR EACH ROW EXECUTE FUNCTION public.no()
                """)
            try shows(["not today"], seconds)
            try root.execute("DROP TRIGGER no ON metrics.memory_metrics")
        case .noConnectionsLeft:
            try root.execute("ALTER ROLE keeper CONNECTION LIMIT 0")
            try endSessions(root)
            try shows(["too many connections"], seconds)
            try root.execute("ALTER ROLE keeper CONNECTION LIMIT -1")
        case .schemaDropped:
            // Only what holds no acknowledged row: a table that is empty now.
            try root.execute("DROP TABLE IF EXISTS spillway.maintenance, spillway.table_policies")
            pause(seconds)
        }
    }

    private func endSessions(_ root: DatabaseConnection) throws {
        // One that has just been let in is listed a moment later.
        for _ in 0..<3 {
            try root.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'")
            usleep(200_000)
        }
    }

    private func waitForTable(_ name: String, _ root: DatabaseConnection) throws {
        let deadline = Date().addingTimeInterval(60)
        while try root.query("SELECT to_regclass($1)", [name])[0][0] == nil {
            try #require(Date() < deadline, "\(name) was not made again")
            usleep(100_000)
        }
    }

    /// What an operator does about a deadlock with a collector that repairs its schema: the same again.
    private func change(_ root: DatabaseConnection, _ statements: String) throws {
        do throws(DatabaseError) {
            try root.execute(statements)
        } catch {
            guard error.sqlstate == SQLState("40P01") else { throw error }
            let lines = server.logText.split(separator: "\n")
            let last = lines.lastIndex { $0.contains("deadlock detected") } ?? lines.startIndex
            print("chaos: a deadlock, repeated: \(lines[last...].prefix(8).joined(separator: "\n"))")
            try root.execute(statements)
        }
    }

    private func pause(_ seconds: Double) { usleep(UInt32(seconds * 1e6)) }

    /// What cannot be stored is shown within 10 s, with its reason.
    private func shows(_ reasons: [String], _ seconds: Double) throws {
        let start = Date()
        _ = try collector.waitForStats(seconds: 10) { stats in
            (stats.warnings + stats.not_ready).contains { line in reasons.contains { line.contains($0) } }
        }
        slowestShown = max(slowestShown, Date().timeIntervalSince(start))
        pause(seconds)
    }

    // MARK: The end

    func finish() throws {
        let start = Date()
        for sender in senders { #expect(Torture.wait(sender, seconds: 60), "\(collector.logText)") }
        let stats = try collector.waitForStats(seconds: 60) {
            $0["records_in_spill"] == 0 && $0.unaccounted == 0
        }
        let end = Date().timeIntervalSince(start)
        #expect(stats["records_dead_lettered"] == 0)
        #expect(collector.stop() == 0, "\(collector.logText)")
        let root = try DatabaseConnection(administrator)
        var stored = 0
        for (kind, count) in expected {
            // Also what was renamed and detached.
            let tables = try root.query(
                """
                SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'metrics' AND c.relname LIKE '\(kind)\\_%' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                """
            ).compactMap { $0[0] }
            let sum = try root.query(
                "SELECT " + tables.map { "(SELECT count(*) FROM \($0))" }.joined(separator: " + "))[0][0]
            #expect(sum == "\(count)", "\(kind): \(tables)")
            stored += Int(sum ?? "") ?? 0
        }
        // Two senders number their records alike, and begin at different times.
        let doubled = try root.query(
            "SELECT count(*) - count(DISTINCT (query_id, time)) FROM metrics.routing_metrics")
        #expect(doubled == [["0"]])
        print(
            "chaos: \(tried.values.reduce(0, +)) faults of \(tried.count) kinds, \(stored) acknowledged records stored once; "
                + "shown within \(String(format: "%.1f", slowestShown)) s, stored \(String(format: "%.1f", end)) s after the end"
        )
    }
}

extension DatabaseLocation {
    fileprivate func reset(_ setting: String) throws {
        let name = setting.prefix { $0 != " " }
        try DatabaseConnection(self).execute("ALTER DATABASE chaos RESET \(name)")
    }
}
