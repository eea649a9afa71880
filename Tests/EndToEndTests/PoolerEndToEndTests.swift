// Two collectors behind pgbouncer in transaction mode, on a database that an administrator has made forgetful: a collector is killed
// and the server stops at once, and each record that was acknowledged is stored once.

import Foundation
import Postgres
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct PoolerEndToEndTests {
    @Test(arguments: TestFlavour.local)
    func collectorsBehindAPoolerStoreEachRecordOnceAndLeaveNoLock(_ flavour: TestFlavour) throws {
        let server = try TestServers.ownServer(flavour)
        defer { server.stop() }
        let url = TestServers.url(server.location)
        let pooler = try PoolerProcess(url: url, sessions: 6)
        let administrator = try DatabaseConnection(server.location)
        let name = try #require(server.location.database)
        for setting in ["synchronous_commit = off", "bytea_output = escape", "statement_timeout = '3ms'"] {
            try administrator.execute("ALTER DATABASE \(name) SET \(setting)")
        }
        try administrator.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        try administrator.execute("SELECT pg_reload_conf()")
        let locks = """
            SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND a.state = 'idle'
            """
        func start() throws -> CollectorProcess {
            try CollectorProcess(["--database", pooler.url, "--flush-interval", "20", "--lanes", "2"])
        }
        func send(_ collector: CollectorProcess, _ seed: Int) throws {
            let sent = try Programs.run([
                "send", "--to", "tcp://\(try collector.address("tcp"))", "--acknowledged", "--generate", "all",
                "--count", "2700", "--seed", "\(seed)",
            ])
            #expect(sent.status == 0, "\(sent.errors)")
        }
        let first = try start()
        let second = try start()
        try send(first, 1)
        try send(second, 2)
        // The leaders' rounds have come.
        _ = try second.waitForStats { $0["records_committed"] == 2_700 && $0.unaccounted == 0 }
        #expect(try administrator.query(locks) == [["0"]])
        #expect(first.stop(SIGKILL) != 0)
        try TestServers.restart(server, immediate: true)
        try send(second, 3)
        let stats = try second.waitForStats { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        #expect(stats["records_committed"] == 5_400 && stats["records_dead_lettered"] == 0)
        #expect(!second.logText.contains("pooler"), "\(second.logText)")
        let after = try DatabaseConnection(server.location)
        #expect(try after.query(locks) == [["0"]])
        #expect(second.stop() == 0, "\(second.logText)")
        #expect(try after.query("SELECT sum(records) FROM spillway.batches") == [["8100"]])
        #expect(try after.query("SELECT count(*) FROM metrics.routing_metrics") == [["900"]])
    }
}
