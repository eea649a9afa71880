// A lane that is free takes a batch before it is full, and before the flush interval is over.

import Foundation
import Postgres
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(3))) struct FreeLaneTests {
    /// Longer than the test may take: what is stored was not flushed by its time.
    private static let flushMilliseconds = "60000"

    private func collector(
        _ location: DatabaseLocation, port: UInt16, lanes: Int, batchRecords: Int = 4_000
    ) throws -> CollectorProcess {
        try CollectorProcess([
            "--database", TestServers.url(location), "--tcp", "127.0.0.1:\(port)", "--lanes", "\(lanes)",
            "--flush-interval", Self.flushMilliseconds, "--batch-records", "\(batchRecords)",
        ])
    }

    @Test(arguments: [1, 3]) func anEmptyBatchIsNotWorthALanesWhile(_ batchRecords: Int) throws {
        let port = try Torture.freePort()
        let location = try TestServers.database(.plain)
        let collector = try collector(location, port: port, lanes: 2, batchRecords: batchRecords)
        sleep(1)
        #expect(try collector.stats().gauges["batches_committed"] == 0)
        let sender = try Torture.sender(port, count: 500, rate: 100_000)
        _ = try collector.waitForStats(seconds: 30) { $0["records_committed"] == 500 }
        #expect(Torture.wait(sender, seconds: 30))
        // A frame of 50 records is more than a batch.
        #expect(try collector.stats().gauges["batches_committed"] == 10)
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    @Test func aQuarterOfABatchIsEnoughForAFreeLaneAndLessIsNot() throws {
        let port = try Torture.freePort()
        let location = try TestServers.database(.plain)
        let collector = try collector(location, port: port, lanes: 2)
        let large = try Torture.sender(port, count: 1_000, rate: 100_000)
        _ = try collector.waitForStats(seconds: 30) { $0["records_committed"] == 1_000 }
        #expect(Torture.wait(large, seconds: 30))
        let small = try Torture.sender(port, count: 900, rate: 100_000)
        _ = try collector.waitForStats(seconds: 30) { $0["records_received"] == 1_900 }
        // Ten times what the first batch can have taken; the lanes have nothing else to do.
        sleep(1)
        #expect(try collector.stats()["records_committed"] == 1_000)
        // The stop flushes what is open.
        #expect(collector.stop() == 0, "\(collector.logText)")
        _ = Torture.wait(small, seconds: 30)
        #expect(try Torture.rows(location).all == 1_900)
    }

    @Test func aLaneThatBecomesFreeTakesWhatHasComeMeanwhile() throws {
        let port = try Torture.freePort()
        let location = try TestServers.database(.plain)
        let collector = try collector(location, port: port, lanes: 1)
        let administrator = try DatabaseConnection(location)
        try administrator.execute("BEGIN; LOCK TABLE metrics.routing_metrics IN EXCLUSIVE MODE")
        let first = try Torture.sender(port, count: 1_000, rate: 100_000)
        _ = try collector.waitForStats(seconds: 30) { $0["records_received"] == 1_000 }
        // The lane has the first batch, and stands before the lock.
        let waiting = """
            SELECT 1 FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND application_name LIKE 'spillway lane%'
            """
        let observer = try DatabaseConnection(location)
        for _ in 0..<300 {
            if try !observer.query(waiting).isEmpty { break }
            usleep(100_000)
        }
        try #require(try !observer.query(waiting).isEmpty)
        let second = try Torture.sender(port, count: 1_500, rate: 100_000)
        _ = try collector.waitForStats(seconds: 30) { $0["records_received"] == 2_500 }
        #expect(try collector.stats()["records_committed"] == 0)
        try administrator.execute("ROLLBACK")
        // No further frame comes that could wake anybody.
        _ = try collector.waitForStats(seconds: 30) { $0["records_committed"] == 2_500 }
        #expect(Torture.wait(first, seconds: 30) && Torture.wait(second, seconds: 30))
        #expect(collector.stop() == 0, "\(collector.logText)")
    }
}
