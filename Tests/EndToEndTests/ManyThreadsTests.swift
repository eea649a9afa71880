// More threads at each place than the smallest machine has by default: what comes side by side is stored once.

import Foundation
import Postgres
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(3))) struct ManyThreadsTests {
    private static let threads = [
        "--udp-threads", "4", "--lanes", "4", "--flush-interval", "20", "--batch-records", "2000",
    ]

    @Test func whatSeveralLanesStoreSideBySideIsStoredOnce() throws {
        let location = try TestServers.database(.plain)
        let collector = try CollectorProcess(["--database", TestServers.url(location)] + Self.threads)
        let port = try #require(UInt16(try collector.address("tcp").split(separator: ":").last ?? ""))
        let (senders, each) = (6, 20_000)
        let running = try (0..<senders).map { _ in try Torture.sender(port, count: each, rate: 50_000) }
        for sender in running { #expect(Torture.wait(sender, seconds: 60)) }
        let stats = try collector.waitForStats { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        #expect(stats["records_received"] == senders * each)
        #expect(stats.gauges["lanes"] == 4)
        #expect(collector.stop() == 0, "\(collector.logText)")
        // Each sender makes the same records: every id as often as there are senders.
        let counts = try DatabaseConnection(location).query(
            "SELECT count(*), min(copies), max(copies) FROM "
                + "(SELECT count(*) AS copies FROM metrics.routing_metrics GROUP BY query_id) AS records")
        #expect(counts == [["\(each)", "\(senders)", "\(senders)"]])
    }

    @Test func datagramsOnSeveralSocketsAreAllAccountedFor() throws {
        let collector = try CollectorProcess(["--database", "discard"] + Self.threads)
        let (senders, each) = (6, 20_000)
        let address = try collector.address("udp")
        func receivers() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(collector.processID)/task").count {
                try String(contentsOfFile: "/proc/\(collector.processID)/task/\($0)/comm", encoding: .utf8).hasPrefix(
                    "udp")
            }
        }
        // A thread names itself once it runs.
        let deadline = Date().addingTimeInterval(10)
        while try receivers() < 4, Date() < deadline { usleep(20_000) }
        #expect(try receivers() == 4)
        let running = try (0..<senders).map { number in
            let process = Process()
            process.executableURL = Programs.spillway
            process.arguments = [
                "send", "--to", "udp://\(address)", "--generate", "point", "--count", "\(each)", "--rate", "20000",
                "--seed", "\(number + 1)",
            ]
            process.environment = Programs.cleanEnvironment([:])
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            return process
        }
        for sender in running { #expect(Torture.wait(sender, seconds: 60)) }
        let stats = try collector.waitForStats { $0["records_received"] == senders * each && $0.unaccounted == 0 }
        #expect(stats["kernel_drops"] == 0)
        #expect(stats["sequence_gap_frames"] == 0)
        #expect(collector.stop() == 0, "\(collector.logText)")
    }
}
