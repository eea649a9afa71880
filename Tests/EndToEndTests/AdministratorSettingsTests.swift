// A careless administrator changes settings of the server, the database or the role: nothing that was acknowledged is lost when
// the server stops at once, every row is what it would have been without the change, and refused records can be sent again.
//
// `default_transaction_read_only` is not among them: it is honoured. Nothing is written then, and all waits in the spill.

import Foundation
import Postgres
import StoreSchema
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(60))) struct AdministratorSettingsTests {
    private typealias Setting = (name: String, value: String)

    private static let settings: [Setting] = [
        ("synchronous_commit", "off"), ("bytea_output", "escape"), ("quote_all_identifiers", "on"),
        ("datestyle", "'SQL, DMY'"), ("intervalstyle", "sql_standard"), ("timezone", "'Pacific/Kiritimati'"),
        ("search_path", "careless, pg_catalog"), ("standard_conforming_strings", "off"),
        ("default_transaction_isolation", "serializable"), ("default_transaction_deferrable", "on"),
        ("statement_timeout", "'3ms'"), ("lock_timeout", "'1ms'"), ("idle_in_transaction_session_timeout", "'3ms'"),
        ("idle_session_timeout", "'300ms'"), ("client_encoding", "LATIN1"), ("extra_float_digits", "-15"),
        ("session_replication_role", "replica"), ("row_security", "off"), ("array_nulls", "off"),
        ("transform_null_equals", "on"), ("exit_on_error", "on"), ("client_min_messages", "error"),
        ("enable_indexscan", "off"), ("work_mem", "'64kB'"), ("xmloption", "document"),
    ]

    private enum Scope: CaseIterable {
        case role
        case database
        case system

        func target(_ database: String) -> String {
            switch self {
            case .role: "ROLE postgres"
            case .database: "DATABASE \(database)"
            case .system: "SYSTEM"
            }
        }
    }

    private static let count = 900
    private static let kinds = [
        "routing_metrics", "memory_metrics", "attention_metrics", "compute_metrics", "execution_metrics",
        "agent_evolution_metrics", "rag_metrics", "system_metrics", "metric_points",
    ]
    /// The same records for every trial.
    private static let generate = [
        "--generate", "all", "--count", "\(count)", "--seed", "16", "--start-time",
        ISO8601DateFormatter().string(from: Date()),
    ]

    /// Each table's rows in a form that two databases can be compared by.
    private static func digests(_ connection: DatabaseConnection) throws -> [String] {
        try kinds.map { table in
            let rows = try connection.query(
                "SELECT count(*) || ' ' || md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM metrics.\(table) t"
            )
            return "\(table) \(rows[0][0] ?? "")"
        }
    }

    private static func send(to collector: CollectorProcess) throws {
        let sent = try Programs.run(
            ["send", "--to", "tcp://\(try collector.address("tcp"))", "--acknowledged"] + generate)
        #expect(sent.status == 0, "\(sent.errors)")
    }

    /// The rows without any change.
    private static func reference(_ flavour: TestFlavour) throws -> [String] {
        let location = try TestServers.database(flavour)
        let collector = try CollectorProcess(["--database", TestServers.url(location)])
        try send(to: collector)
        #expect(collector.stop() == 0, "\(collector.logText)")
        return try digests(DatabaseConnection(location))
    }

    /// - Parameter restart: stops the server at once and starts it again; nil for one that is not the test's own.
    private static func trial(
        _ settings: [Setting], _ scope: Scope, _ base: DatabaseLocation, _ number: Int, reference: [String],
        restart: (() throws -> Void)?
    ) throws {
        let name = "careless_\(getpid())_\(number)"
        let administrator = try DatabaseConnection(base.with(database: "postgres"))
        try administrator.execute("CREATE DATABASE \(name)")
        let location = base.with(database: name)
        try DatabaseConnection(location).execute(
            """
            CREATE SCHEMA careless;
            CREATE FUNCTION careless.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT 'epoch'::timestamptz $$;
            CREATE FUNCTION careless.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$
            """)
        let target = scope.target(name)
        for setting in settings { try administrator.execute("ALTER \(target) SET \(setting.name) = \(setting.value)") }
        if restart != nil {
            // What is committed without a wait would stay in memory for this time.
            try administrator.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            try administrator.execute("SELECT pg_reload_conf()")
        }
        let what = "\(target) \(settings.map(\.name).joined(separator: ", "))"
        let collector = try CollectorProcess([
            "--database", TestServers.url(location), "--spill-directory", "none", "--flush-interval", "20", "--lanes",
            "2",
        ])
        let owner = try DatabaseConnection(location)
        try owner.execute("ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%7')")
        try send(to: collector)
        #expect(collector.stop(SIGKILL) != 0)
        try restart?()

        let after = try DatabaseConnection(location)
        let letters = try after.query("SELECT count(*) FROM spillway.dead_letters")[0][0]
        #expect(letters.flatMap { Int($0) } ?? 0 > 5, "\(what): \(letters ?? "") letters")
        try after.execute("ALTER TABLE metrics.routing_metrics DROP CONSTRAINT picky")
        let resent = try Programs.run(["dead-letters", "resend", "--database", TestServers.url(location)])
        #expect(resent.status == 0, "\(what): \(resent.errors)")
        #expect(try digests(after) == reference, "\(what)\n\(collector.logText)")
        let ledger = try after.query("SELECT sum(records) FROM spillway.batches")[0][0]
        #expect(ledger == "\(count)", "\(what)")
        let cleaner = try DatabaseConnection(base.with(database: "postgres"))
        try cleaner.execute("ALTER \(target) RESET ALL")
        if scope == .system { try cleaner.execute("SELECT pg_reload_conf()") }
        after.close()
        try cleaner.execute("DROP DATABASE \(name) WITH (FORCE)")
    }

    @Test(arguments: TestFlavour.allCases)
    func nothingAcknowledgedIsLostAndEveryRowIsEqual(_ flavour: TestFlavour) throws {
        var generator = Torture.generator("settings")
        let reference = try Self.reference(flavour)
        let server = flavour == .community ? nil : try TestServers.ownServer(flavour)
        defer { server?.stop() }
        let base = try server?.location ?? TestServers.database(.community)
        var trials = Scope.allCases.map { (Self.settings, $0) }
        let alone = Self.settings.map { [$0] }
        trials += Scope.allCases.flatMap { scope in
            (Torture.isLong ? alone : scope == .database ? Array(alone.shuffled(using: &generator).prefix(1)) : [])
                .map { ($0, scope) }
        }
        var number = 0
        // A server of others is not stopped, and its settings are not changed.
        for (settings, scope) in trials where server != nil || scope == .database {
            number += 1
            let restart = server.map { server in { try TestServers.restart(server, immediate: true) } }
            try Self.trial(settings, scope, base, number, reference: reference, restart: restart)
        }
        print("\(flavour): \(number) trials")
    }

    /// A database that is frozen is not written to, and what waits for it is stored afterwards.
    @Test func aDatabaseThatIsReadOnlyByItsSettingIsNotWrittenTo() throws {
        let location = try TestServers.database(.plain)
        let name = try #require(location.database)
        let administrator = try DatabaseConnection(location)
        try SchemaManager(administrator).apply()
        try administrator.execute("ALTER DATABASE \(name) SET default_transaction_read_only = on")
        let collector = try CollectorProcess(["--database", TestServers.url(location), "--flush-interval", "20"])
        try Self.send(to: collector)
        let stats = try collector.waitForStats(seconds: 10) {
            $0["records_in_spill"] == Self.count
                && $0.warnings.contains { $0.contains("RESET default_transaction_read_only") }
        }
        #expect(stats["records_committed"] == 0 && stats.not_ready.isEmpty)
        #expect(try administrator.query("SELECT count(*) FROM spillway.batches") == [["0"]])
        try administrator.execute("ALTER DATABASE \(name) RESET default_transaction_read_only")
        _ = try collector.waitForStats { $0["records_committed"] == Self.count && $0["records_in_spill"] == 0 }
        #expect(collector.stop() == 0, "\(collector.logText)")
    }
}
