// The spill's disk is full and the database away: nothing is acknowledged, and when there is room again all goes on.

import Foundation
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(10))) struct DiskFullTests {
    @Test(arguments: [false, true])
    func aFullDiskStopsAcknowledgementsUntilThereIsRoomAgain(_ databaseComesFirst: Bool) throws {
        let server = try TestServers.ownServer(.plain)
        defer { server.stop() }
        let folder = try Programs.temporaryFolder("full")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        _ = try Shell.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", folder])
        defer { do { _ = try Shell.run(["umount", "-l", folder]) } catch { print("\(error)") } }
        let port = try Torture.freePort()
        let collector = try CollectorProcess([
            "--database", TestServers.url(server.location), "--tcp", "127.0.0.1:\(port)", "--spill-directory",
            folder + "/spill", "--spill-free-percent", "0", "--ring-bytes", "8388608", "--batch-records", "5000",
            "--flush-interval", "20",
        ])
        // It is reported before the database is away.
        _ = try Shell.run(["fallocate", "-l", "7m", folder + "/other"])
        _ = try collector.waitForStats(seconds: 10) {
            $0.warnings.contains { $0.contains("would take no batch in an outage") }
        }
        _ = try Shell.run(["rm", folder + "/other"])
        server.stop()
        let log = try Programs.temporaryFile("acknowledged")
        let count = 1_500_000
        let sender = try Torture.sender(port, count: count, rate: 500_000, ["--acknowledgement-log", log.path])
        let blocked = try collector.waitForStats(seconds: 60) {
            $0.gauges["spill_blocked"] == 1 && $0["records_in_spill"] > 0
        }
        // A smaller batch may still find room where a larger one did not.
        var before = -1
        let settled = Date().addingTimeInterval(30)
        while try Data(contentsOf: log).count != before, Date() < settled {
            before = try Data(contentsOf: log).count
            usleep(1_500_000)
        }
        usleep(1_500_000)
        #expect(try Data(contentsOf: log).count == before, "something was acknowledged while the disk was full")
        #expect(sender.isRunning)
        #expect(try collector.get("/readyz").status == 503)
        // Datagrams have nobody to wait for: they are counted, with the reason.
        let udp = try Programs.run([
            "send", "--to", "udp://\(try collector.address("udp"))", "--generate", "memory", "--count", "200000",
        ])
        #expect(udp.status == 0)
        if databaseComesFirst {
            try server.start()
        } else {
            _ = try Shell.run(["mount", "-o", "remount,size=400m", folder])
            _ = try collector.waitForStats(seconds: 30) { $0["records_in_spill"] > blocked["records_in_spill"] }
            try server.start()
        }
        #expect(Torture.wait(sender, seconds: 120), "\(collector.logText)")
        let stats = try collector.waitForStats(seconds: 120) { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        #expect(stats["quota_drops"] > 0)
        // Nothing is spilled any more, and the block has ended all the same.
        let free = try collector.waitForStats(seconds: 20) { $0.gauges["spill_blocked"] == 0 }
        #expect(!free.warnings.contains { $0.contains("takes nothing") }, "\(free.warnings)")
        #expect(collector.stop() == 0, "\(collector.logText)")
        let rows = try Torture.rows(server.location)
        print("records \(count), stored \(rows.all), in the spill when it was full \(blocked["records_in_spill"])")
        #expect(rows.all == count)
        #expect(rows.distinct == count)
    }
}
