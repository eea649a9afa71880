// kill -9 at random moments under acknowledged load: nothing acknowledged is missing, nothing is stored twice.

import Foundation
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(60))) struct KillTests {
    @Test func killsAtRandomMomentsLoseNothingAcknowledgedAndDoubleNothing() throws {
        var generator = Torture.generator("kills")
        let kills = Torture.count(50, 1_000)
        let location = try TestServers.database(.plain)
        let spill = try Programs.temporaryFolder("spill")
        let port = try Torture.freePort()
        let count = kills * 20_000
        // Before the sender: its first try must not use up its patience.
        let arguments = [
            "--database", TestServers.url(location), "--tcp", "127.0.0.1:\(port)", "--spill-directory", spill,
            "--flush-interval", "20", "--batch-records", "2000",
        ]
        var collector = try CollectorProcess(arguments)
        let sender = try Torture.sender(port, count: count, rate: 30_000)
        var done = 0
        var spilled = 0
        while sender.isRunning, done < kills {
            usleep(UInt32.random(in: 20_000...400_000, using: &generator))
            _ = collector.stop(SIGKILL)
            done += 1
            // What is acknowledged now must be in the table or the spill: the end will tell.
            collector = try CollectorProcess(done % 3 == 0 ? arguments + ["--journal"] : arguments)
            spilled += try collector.stats()["records_recovered"]
        }
        #expect(Torture.wait(sender, seconds: 300))
        let stats = try collector.waitForStats(seconds: 120) { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        #expect(collector.stop() == 0, "\(collector.logText)")
        let rows = try Torture.rows(location)
        print(
            "kills \(done), records \(count), stored \(rows.all), different \(rows.distinct), "
                + "found in the spill after kills \(spilled), recognised when stored \(stats["records_resent"])")
        #expect(done == kills)
        #expect(rows.all == count)
        #expect(rows.distinct == count)
    }
}
