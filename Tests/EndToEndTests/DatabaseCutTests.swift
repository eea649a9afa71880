// A proxy cuts the connections to the database at every message of the protocol, also right behind a COMMIT: each row is stored
// exactly once.

import Foundation
import Postgres
import Synchronization
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(20))) struct DatabaseCutTests {
    @Test func connectionsThatAreCutAtEveryMessageStoreEachRowOnce() throws {
        var generator = Torture.generator("cuts")
        let cutsWanted = Torture.count(300, 3_000)
        let location = try TestServers.database(.plain)
        let socketPath = try #require(try Self.socketPath(location))
        let proxy = try CuttingProxy(target: socketPath, seed: generator.next())
        defer { proxy.stop() }
        let port = try Torture.freePort()
        let database = try #require(try DatabaseConnection(location).query("SELECT current_database()")[0][0])
        let collector = try CollectorProcess([
            "--database", "host=127.0.0.1 port=\(proxy.port) user=postgres dbname=\(database) sslmode=disable",
            "--tcp", "127.0.0.1:\(port)", "--flush-interval", "5", "--batch-records", "500",
        ])
        proxy.beginCutting()
        let count = Torture.isLong ? 2_000_000 : 300_000
        let sender = try Torture.sender(port, count: count, rate: 10_000)
        let deadline = Date().addingTimeInterval(Torture.isLong ? 1_000 : 300)
        while proxy.cuts < cutsWanted, Date() < deadline { usleep(20_000) }
        proxy.endCutting()
        #expect(Torture.wait(sender, seconds: 120))
        let stats = try collector.waitForStats(seconds: 120) { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        #expect(collector.stop() == 0, "\(collector.logText)")
        let rows = try Torture.rows(location)
        print(
            "cuts \(proxy.cuts) \(proxy.cutsByMessage), of these behind a COMMIT \(proxy.cutsBehindCommit), settled by the ledger "
                + "\(stats.gauges["batches_settled_by_ledger"] ?? -1), records \(count), stored \(rows.all)")
        #expect(proxy.cuts >= cutsWanted, "the collector did not come back often enough")
        #expect(proxy.cutsBehindCommit > 0)
        #expect(rows.all == count)
        #expect(rows.distinct == count)
    }

    private static func socketPath(_ location: DatabaseLocation) throws -> String? {
        let connection = try DatabaseConnection(location)
        let row = try connection.query(
            "SELECT current_setting('unix_socket_directories'), current_setting('port')")[0]
        guard let folder = row[0], let port = row[1] else { return nil }
        return "\(folder)/.s.PGSQL.\(port)"
    }
}
