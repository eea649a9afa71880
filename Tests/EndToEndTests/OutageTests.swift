// The database goes away under load and comes back; the collector is stopped under load. What was accepted is stored, once.

import Foundation
import Postgres
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(10))) struct OutageTests {
    private static func rows(_ location: DatabaseLocation) throws -> (all: Int, distinct: Int) {
        let row = try DatabaseConnection(location).query(
            "SELECT count(*), count(DISTINCT query_id) FROM metrics.routing_metrics")[0]
        return (try #require(row[0].flatMap { Int($0) }), try #require(row[1].flatMap { Int($0) }))
    }

    /// A sender that runs beside the test.
    private static func sender(_ collector: CollectorProcess, _ arguments: [String]) throws -> Process {
        let process = Process()
        process.executableURL = Programs.spillway
        process.arguments =
            ["send", "--to", "tcp://\(try collector.address("tcp"))", "--generate", "routing"] + arguments
        process.environment = Programs.cleanEnvironment([:])
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        return process
    }

    @Test(arguments: TestFlavour.local)
    func aDatabaseThatIsStoppedAndStartedAgainLosesAndDoublesNothing(_ flavour: TestFlavour) throws {
        let server = try TestServers.ownServer(flavour)
        defer { server.stop() }
        let url = TestServers.url(server.location)
        let collector = try CollectorProcess(["--database", url, "--flush-interval", "20", "--batch-records", "5000"])
        let count = 600_000
        let sender = try Self.sender(collector, ["--count", "\(count)", "--rate", "60000"])
        for immediate in [false, true] {
            _ = try collector.waitForStats { $0["records_committed"] > 0 }
            usleep(1_500_000)
            try TestServers.restart(server, immediate: immediate)
        }
        sender.waitUntilExit()
        #expect(sender.terminationStatus == 0)
        let stats = try collector.waitForStats(seconds: 120) { $0["records_committed"] >= count }
        #expect(stats["records_received"] == count)
        #expect(stats.unaccounted == 0)
        #expect(stats.gauges["batch_attempts_failed"] ?? 0 > 0, "the outage was not felt")
        #expect(collector.stop() == 0, "\(collector.logText)")
        let rows = try Self.rows(server.location)
        #expect(rows.all == count)
        #expect(rows.distinct == count)
    }

    @Test func sessionsThatTheServerEndsUnderLoadLoseAndDoubleNothing() throws {
        let location = try TestServers.database(.timescale)
        let collector = try CollectorProcess(
            ["--database", TestServers.url(location), "--flush-interval", "10", "--batch-records", "2000"])
        let count = 300_000
        let sender = try Self.sender(collector, ["--count", "\(count)", "--rate", "60000"])
        let connection = try DatabaseConnection(location)
        var ended = 0
        while sender.isRunning {
            ended += try connection.query(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name LIKE 'spillway lane%' AND datname = current_database()
                """
            ).count
            usleep(20_000)
        }
        let stats = try collector.waitForStats(seconds: 120) { $0["records_committed"] >= count }
        print("sessions ended: \(ended), settled by the ledger: \(stats.gauges["batches_settled_by_ledger"] ?? -1)")
        #expect(ended > 5, "the sessions were hardly disturbed")
        #expect(stats.unaccounted == 0)
        #expect(collector.stop() == 0)
        let rows = try Self.rows(location)
        #expect(rows.all == count)
        #expect(rows.distinct == count)
    }

    @Test(arguments: TestFlavour.local)
    func aStopUnderLoadStoresAllThatWasAccepted(_ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let spill = try Programs.temporaryFolder("spill")
        let collector = try CollectorProcess(["--database", TestServers.url(location), "--spill-directory", spill])
        let sender = try Self.sender(collector, ["--count", "2000000", "--rate", "300000"])
        _ = try collector.waitForStats { $0["records_received"] > 100_000 }
        let before = try collector.stats()["records_received"]
        #expect(collector.stop() == 0, "\(collector.logText)")
        sender.waitUntilExit()
        // Its receipt never came.
        #expect(sender.terminationStatus == 69)
        // What the database had no time for is in the spill, which the next start empties.
        #expect(!collector.logText.contains("neither stored"))
        let next = try CollectorProcess(["--database", TestServers.url(location), "--spill-directory", spill])
        _ = try next.waitForStats { $0["records_in_spill"] == 0 }
        #expect(next.stop() == 0)
        let rows = try Self.rows(location)
        #expect(rows.all >= before)
        #expect(rows.all == rows.distinct)
    }

    @Test func withoutADatabaseMemoryStaysBoundedAndTheBooksBalanceAfterwards() throws {
        let server = try TestServers.ownServer(.plain)
        defer { server.stop() }
        let url = TestServers.url(server.location)
        let collector = try CollectorProcess([
            "--database", url, "--ring-bytes", "8388608", "--batch-records", "5000", "--spill-directory", "none",
        ])
        server.stop()
        // More than ring and batches hold: the connection waits, and the sender with it.
        let sender = try Self.sender(collector, ["--count", "1500000"])
        usleep(3_000_000)
        #expect(sender.isRunning, "the collector took more than it can hold")
        let ready = try collector.get("/readyz")
        #expect(ready.status == 503)
        #expect(try collector.get("/healthz").status == 200)
        // Datagrams have nobody to wait for: they are counted.
        let udp = try Programs.run([
            "send", "--to", "udp://\(try collector.address("udp"))", "--generate", "memory", "--count", "20000",
        ])
        #expect(udp.status == 0)
        let status = try String(contentsOfFile: "/proc/\(collector.processID)/status", encoding: .utf8)
        let resident = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        let kilobytes = try #require(resident?.split(separator: " ").dropFirst().first.flatMap { Int($0) })
        print("resident without a database: \(kilobytes) kB")
        #expect(kilobytes < 300_000)
        try server.start()
        sender.waitUntilExit()
        #expect(sender.terminationStatus == 0)
        let stats = try collector.waitForStats(seconds: 120) { $0.unaccounted == 0 }
        #expect(stats["ring_full_drops"] > 0)
        #expect(collector.stop() == 0, "\(collector.logText)")
        #expect(try Self.rows(server.location).all == 1_500_000)
    }
}
