// The client library over TCP: what a program records arrives once, over kills of the collector, and what it cannot keep is counted.

import Foundation
import SpillwayClient
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(5))) struct AcknowledgedClientTests {
    @Test func aClientOverTCPLosesNothingWhenTheCollectorIsKilledAgainAndAgain() throws {
        let location = try TestServers.database(.plain)
        let spill = try Programs.temporaryFolder("spill")
        let port = try Torture.freePort()
        let arguments = [
            "--database", TestServers.url(location), "--tcp", "127.0.0.1:\(port)", "--spill-directory", spill,
            "--flush-interval", "20",
        ]
        // It may come before its collector.
        let client = try MetricsClient(
            to: "tcp://127.0.0.1:\(port)", source: "client",
            options: MetricsClientOptions(flushIntervalSeconds: 0.05, closeTimeoutSeconds: 60))
        var recorded = 0
        func record(_ count: Int) {
            for _ in 0..<count {
                recorded += 1
                client.record(RoutingRecord(time: Timestamp.now, queryID: "q\(recorded)", modelSelected: "small"))
            }
        }
        record(1_000)
        for _ in 0..<5 {
            let collector = try CollectorProcess(arguments)
            for _ in 0..<20 {
                record(500)
                usleep(10_000)
            }
            _ = collector.stop(SIGKILL)
            record(500)
        }
        let collector = try CollectorProcess(arguments)
        client.close()
        let totals = client.statistics
        #expect(totals.recordsRecorded == UInt64(recorded))
        #expect(totals.recordsSent == UInt64(recorded), "\(totals)")
        #expect(totals.recordsDropped + totals.recordsRefused + totals.recordsWaiting == 0)
        _ = try collector.waitForStats { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        #expect(collector.stop() == 0, "\(collector.logText)")
        let rows = try Torture.rows(location)
        #expect(rows.all == recorded)
        #expect(rows.distinct == recorded)
    }

    @Test func withoutACollectorMemoryIsBoundedAndTheRestIsCounted() throws {
        let client = try MetricsClient(
            to: "tcp://127.0.0.1:\(try Torture.freePort())", source: "client",
            options: MetricsClientOptions(
                flushIntervalSeconds: 0.05, unacknowledgedBytesMax: 1 << 20, closeTimeoutSeconds: 0.2))
        let text = String(repeating: "x", count: 2_000)
        // 10 MB, of which a megabyte is kept and two frame queues.
        for number in 0..<5_000 {
            client.record(RoutingRecord(time: Timestamp.now, queryID: "q\(number)", queryText: text + "\(number)"))
        }
        let before = client.statistics
        #expect(before.recordsDropped > 1_000)
        #expect(before.recordsWaiting > 400)
        #expect(before.recordsRecorded == before.recordsDropped + before.recordsWaiting)
        let start = Date()
        client.close()
        #expect(Date().timeIntervalSince(start) < 5)
        let totals = client.statistics
        #expect(totals.recordsDropped == 5_000)
        #expect(totals.recordsWaiting == 0)
        #expect(totals.lastError != nil)
    }

    /// The host may be known later, and the program that is measured goes on meanwhile.
    @Test func anUnknownHostIsSaidAndCounted() throws {
        let client = try MetricsClient(
            to: "tcp://no-such-host.invalid:8127", source: "client",
            options: MetricsClientOptions(flushIntervalSeconds: 0.05, closeTimeoutSeconds: 0.2))
        client.record(RoutingRecord(time: Timestamp.now, queryID: "q"))
        let deadline = Date(timeIntervalSinceNow: 20)
        while client.statistics.lastError == nil, Date() < deadline { usleep(20_000) }
        let error = try #require(client.statistics.lastError)
        #expect("\(error)".contains("no-such-host.invalid"), "\(error)")
        client.close()
        #expect(client.statistics.recordsDropped == 1)
    }
}
