// More threads at each place than the smallest machine has by default: what comes side by side is stored once.

import Foundation
import Testing
import TestSupport
import TimescaleStore

@Suite(.serialized, .timeLimit(.minutes(3))) struct ManyThreadsTests {
    private static let threads = [
        "--udp-threads", "4", "--tcp-threads", "4", "--lanes", "4", "--flush-interval", "20", "--batch-records", "2000",
    ]

    @Test func connectionsOnSeveralThreadsAreAcknowledgedAndStoredOnce() throws {
        let location = try TestServers.database(.plain)
        let port = try Torture.freePort()
        let collector = try CollectorProcess(
            ["--database", TestServers.url(location), "--tcp", "127.0.0.1:\(port)"] + Self.threads)
        let (senders, each) = (6, 20_000)
        let running = try (0..<senders).map { number in
            try Torture.sender(port, count: each, rate: 50_000, ["--seed", "\(number + 1)"])
        }
        for sender in running { #expect(Torture.wait(sender, seconds: 60)) }
        let stats = try collector.waitForStats { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        #expect(stats["records_received"] == senders * each)
        #expect(collector.stop() == 0, "\(collector.logText)")
        #expect(try Torture.rows(location).all == senders * each)
    }

    @Test func datagramsOnSeveralSocketsAreAllAccountedFor() throws {
        let collector = try CollectorProcess(["--database", "discard"] + Self.threads)
        let (senders, each) = (6, 20_000)
        let address = try collector.address("udp")
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
