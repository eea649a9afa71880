// A cleaner, an operator or a script removes files of the spill while the database is away: what was acknowledged is stored all
// the same, and the operator hears of it at once.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct DisturbedSpillTests {
    private static func send(_ count: Int, seed: Int, to collector: CollectorProcess) throws {
        let sent = try Programs.run([
            "send", "--to", "tcp://\(try collector.address("tcp"))", "--acknowledged", "--generate", "routing",
            "--count",
            "\(count)", "--seed", "\(seed)",
        ])
        #expect(sent.status == 0, "\(sent.errors)\n\(collector.logText)")
    }

    enum Disturbance: CaseIterable {
        case segmentsRemoved
        case everythingRemoved
        case directoryRemoved
        case directoryRenamed

        func happen(in spill: String) throws {
            let command =
                switch self {
                case .segmentsRemoved: "rm \(spill)/spill-*.lz4"
                case .everythingRemoved: "rm -rf \(spill)/*"
                case .directoryRemoved: "rm -rf \(spill)"
                case .directoryRenamed: "mv \(spill) \(spill).old"
                }
            _ = try Shell.run(["sh", "-c", command])
        }
    }

    /// - Parameter isKilled: the collector is killed when it has reported the disturbance, and the next one stores what it
    ///   left.
    @Test(arguments: Disturbance.allCases, [false, true])
    func whatWasAcknowledgedIsStoredAndTheDisturbanceIsShown(_ disturbance: Disturbance, _ isKilled: Bool) throws {
        let server = try TestServers.ownServer(.plain)
        defer { server.stop() }
        let spill = try Programs.temporaryFolder("spill")
        let arguments = [
            "--database", TestServers.url(server.location), "--spill-directory", spill, "--flush-interval", "20",
        ]
        var collector = try CollectorProcess(arguments)
        server.stop()
        try Self.send(1_000, seed: 1, to: collector)
        try disturbance.happen(in: spill)
        try Self.send(100, seed: 2, to: collector)
        _ = try collector.waitForStats(seconds: 10) { stats in
            (stats.gauges["spill_segments_disturbed"] ?? 0) > 0 && stats["records_damaged"] == 0
                && stats.warnings.contains { $0.contains(spill) && $0.contains("0 are lost") }
        }
        #expect(try collector.get("/readyz").body.contains("warning: "))
        if isKilled {
            _ = collector.stop(SIGKILL)
            try server.start()
            collector = try CollectorProcess(arguments)
        } else {
            try server.start()
        }
        let stats = try collector.waitForStats { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        #expect(stats["records_damaged"] == 0)
        #expect(try Torture.rows(server.location).all == 1_100)
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    @Test func aTruncatedSegmentIsCountedAtOnce() throws {
        let server = try TestServers.ownServer(.plain)
        defer { server.stop() }
        let spill = try Programs.temporaryFolder("spill")
        let collector = try CollectorProcess([
            "--database", TestServers.url(server.location), "--spill-directory", spill, "--flush-interval", "20",
        ])
        server.stop()
        try Self.send(1_000, seed: 1, to: collector)
        _ = try Shell.run(["sh", "-c", "for f in \(spill)/spill-*.lz4; do : > $f; done"])
        let stats = try collector.waitForStats(seconds: 10) { $0["records_damaged"] == 1_000 }
        #expect(stats["records_in_spill"] == 0 && stats.unaccounted == 0)
        #expect(stats.warnings.contains { $0.contains("1000 are lost") }, "\(stats.warnings)")
        // What comes now is not written behind the hole.
        try Self.send(500, seed: 2, to: collector)
        try server.start()
        _ = try collector.waitForStats { $0["records_in_spill"] == 0 && $0["records_committed"] == 500 }
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    @Test func aReplayedSegmentIsNotHeldOpen() throws {
        let server = try TestServers.ownServer(.plain)
        defer { server.stop() }
        let spill = try Programs.temporaryFolder("spill")
        let collector = try CollectorProcess([
            "--database", TestServers.url(server.location), "--spill-directory", spill, "--flush-interval", "20",
        ])
        server.stop()
        try Self.send(20_000, seed: 1, to: collector)
        try server.start()
        _ = try collector.waitForStats { $0["records_in_spill"] == 0 }
        let deadline = Date().addingTimeInterval(20)
        var open = ""
        repeat {
            usleep(100_000)
            open = try Shell.run(["sh", "-c", "ls -l /proc/\(collector.processID)/fd"])
        } while open.contains("/spill-") && Date() < deadline
        #expect(!open.contains("/spill-"), "\(open)")
        #expect(collector.stop() == 0)
    }
}
