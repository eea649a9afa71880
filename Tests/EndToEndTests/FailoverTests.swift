// The database fails over under acknowledged load, there and back, and a server stops taking writes under open sessions: the
// collector goes on by itself, and everything that was acknowledged is stored once.

import Foundation
import Postgres
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(30))) struct FailoverTests {
    private static func number(_ location: DatabaseLocation, _ sql: String) throws -> Int {
        try #require(try DatabaseConnection(location).query(sql).first?[0].flatMap { Int($0) })
    }

    private static let lanes = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'spillway lane%'"

    @Test func aStandbyThatTakesOverUnderLoadLosesAndDoublesNothing() throws {
        let rounds = Torture.count(2, 20)
        let pair = try ReplicatedPair()
        defer { pair.stop() }
        let port = try Torture.freePort()
        let collector = try CollectorProcess([
            "--database", pair.url + "?target_session_attrs=read-write", "--tcp", "127.0.0.1:\(port)",
            "--flush-interval", "20", "--batch-records", "2000",
        ])
        let count = rounds * 250_000
        let rate = 20_000
        let sender = try Torture.sender(port, count: count, rate: rate)
        _ = try collector.waitForStats { $0["records_committed"] > 10_000 }
        for round in 1...rounds {
            #expect(sender.isRunning, "the load ended too early")
            let killed = Date()
            let lost = pair.killPrimary()
            // Long enough that it is an outage and no hiccup.
            usleep(1_500_000)
            let before = try collector.stats()["records_committed"]
            let promoted = Date()
            try pair.promoteStandby()
            _ = try collector.waitForStats { $0["records_committed"] > before }
            let (sincePromotion, sinceKill) = (Date().timeIntervalSince(promoted), Date().timeIntervalSince(killed))
            print(
                "failover \(round): batches are stored again \(Int(sincePromotion * 1_000)) ms after the promotion began, "
                    + "\(Int(sinceKill * 1_000)) ms after the primary was killed")
            #expect(sincePromotion < 10)
            // The lost server is back, reads only, and stands first in the location in the first round.
            try pair.returnAsStandby(lost)
            let ended = try Self.number(
                pair.location,
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'spillway lane%'"
            )
            #expect(ended > 0)
            let then = try collector.stats()["records_committed"]
            _ = try collector.waitForStats { $0["records_committed"] > then + 4_000 }
            #expect(try Self.number(pair.location, Self.lanes) > 0)
            #expect(try Self.number(#require(pair.standby).location(), Self.lanes) == 0)
        }
        // The rounds may be over long before all is sent.
        #expect(Torture.wait(sender, seconds: Double(count / rate) + 60))
        let stats = try collector.waitForStats(seconds: 60) { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        #expect(collector.stop() == 0, "\(collector.logText)")
        let rows = try Torture.rows(pair.location)
        let ledger = try Self.number(pair.location, "SELECT coalesce(sum(records), 0) FROM spillway.batches")
        print(
            "records \(count), stored \(rows.all), different \(rows.distinct), in the ledger \(ledger), attempts that failed "
                + "\(stats.gauges["batch_attempts_failed"] ?? -1), settled by the ledger "
                + "\(stats.gauges["batches_settled_by_ledger"] ?? -1), spilled \(stats["records_spilled"])")
        #expect(stats.gauges["batch_attempts_failed"] ?? 0 > 0, "the failovers were not felt")
        #expect(rows.all == count)
        #expect(rows.distinct == count)
        #expect(ledger == count)
    }

    @Test func aServerThatStopsTakingWritesIsLeftAndTakenAgain() throws {
        let server = try HostPostgres()
        defer { server.stop(SIGQUIT) }
        try server.start()
        let location = try server.makeDatabase("switched")
        let port = try Torture.freePort()
        let collector = try CollectorProcess([
            "--database", "\(location)", "--tcp", "127.0.0.1:\(port)", "--flush-interval", "20", "--batch-records",
            "1000",
        ])
        let count = 100_000
        let sender = try Torture.sender(port, count: count, rate: 10_000)
        _ = try collector.waitForStats { $0["records_committed"] > 5_000 }
        let administrator = try DatabaseConnection(location)
        func takeWrites(_ takes: Bool) throws {
            try administrator.execute("ALTER SYSTEM SET default_transaction_read_only = \(takes ? "off" : "on")")
            try administrator.execute("SELECT pg_reload_conf()")
        }
        try takeWrites(false)
        let away = try collector.waitForStats {
            $0.gauges["lanes_connected"] == 0 && $0["records_in_spill"] > 0
                && $0.warnings.contains { $0.contains("read-only") || $0.contains("takes no writes") }
        }
        // One that is kept is always there; one that only looks whether the server takes writes again is there for a moment.
        var isLeft = false
        for _ in 0..<100 where !isLeft {
            isLeft = try administrator.query(Self.lanes) == [["0"]]
            if !isLeft { usleep(20_000) }
        }
        #expect(isLeft, "a session that cannot write was kept")
        // No storm of attempts while it lasts.
        let attempts = away.gauges["batch_attempts_failed"] ?? 0
        usleep(2_000_000)
        let later = try collector.stats()
        #expect((later.gauges["batch_attempts_failed"] ?? 0) - attempts < 40)
        #expect(try collector.get("/readyz").status == 200)

        try takeWrites(true)
        #expect(Torture.wait(sender, seconds: 60))
        _ = try collector.waitForStats {
            $0["records_in_spill"] == 0 && $0.unaccounted == 0 && $0.not_ready.isEmpty
                && !$0.warnings.contains { $0.contains("the database is unavailable") }
        }
        #expect(collector.stop() == 0, "\(collector.logText)")
        let rows = try Torture.rows(location)
        #expect(rows.all == count)
        #expect(rows.distinct == count)
    }
}
