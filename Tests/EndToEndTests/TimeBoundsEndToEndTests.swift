// A client with a broken clock spreads its records over a century: the database stays as quick as it was, and the operator is told.

import Foundation
import Postgres
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct TimeBoundsEndToEndTests {
    /// Records whose times are spread evenly over the last so many seconds, with texts of some size.
    private static func send(
        _ count: Int, over seconds: Int, textBytes: Int, source: String, to collector: CollectorProcess
    ) throws {
        let file = try Programs.temporaryFile("jsonl")
        let now = Int(Date().timeIntervalSince1970)
        let text = String(repeating: "x", count: textBytes)
        let lines = (0..<count).map { number -> String in
            let time = Int64(now - number * (seconds / count)) * 1_000_000
            return
                "{\"kind\":\"routing\",\"time\":\(time),\"query_id\":\"q\(number)\",\"query_text\":\"\(text)\(number)\"}\n"
        }
        try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: file.path))
        let sent = try Programs.run([
            "send", "--to", "tcp://\(try collector.address("tcp"))", "--acknowledged", "--any-time", "--source", source,
            "--file", file.path,
        ])
        #expect(sent.status == 0, "\(sent.errors)")
    }

    @Test(arguments: TestFlavour.allCases)
    func aCenturyOfTimesLeavesTheDatabaseAsItWas(_ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let url = TestServers.url(location)
        let collector = try CollectorProcess(["--database", url, "--flush-interval", "20"])
        try Self.send(3_000, over: 130 * 365 * 86_400, textBytes: 4_000, source: "broken", to: collector)
        let stats = try collector.waitForStats(seconds: 30) {
            $0.unaccounted == 0 && $0["records_received"] == 3_000 && $0["records_in_spill"] == 0
        }
        let owner = try DatabaseConnection(location)
        let stored = try #require(
            try owner.query("SELECT count(*) FROM metrics.routing_metrics")[0][0].flatMap { Int($0) })
        #expect(stats["records_committed"] == stored)
        #expect(stats["records_out_of_bounds"] == 3_000 - stored && stats["records_dead_lettered"] == 3_000 - stored)
        #expect(stats.sources.map { $0.totals["records_out_of_bounds"] ?? 0 } == [3_000 - stored])
        #expect(
            try owner.query("SELECT sum(records), count(DISTINCT sqlstate) FROM spillway.dead_letters")
                == [["\(3_000 - stored)", "1"]])
        if flavour == .plain {
            // All of the last five years: a row of an old day makes no partition.
            #expect((114...117).contains(stored), "\(stored)")
        } else {
            // The last week, and 32 chunks older than that.
            #expect((32...34).contains(stored), "\(stored)")
            let chunks = try owner.query(
                "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'routing_metrics'")
            #expect(Int(chunks[0][0] ?? "").map { $0 < 40 } == true, "\(chunks)")
        }
        let warning = "times out of bounds: \(3_000 - stored) records of source broken ("
        #expect(stats.warnings.contains { $0.hasPrefix(warning) }, "\(stats.warnings)")
        let ready = try collector.get("/readyz")
        #expect(ready.status == 200 && ready.body.contains(warning), "\(ready.body)")
        #expect(
            try collector.get("/metrics").body.contains("\nspillway_records_out_of_bounds_total \(3_000 - stored)\n"))
        let status = try Programs.run(["schema", "status", "--database", url])
        #expect(status.text.contains("because of: time out of bounds"), "\(status.text)")
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    @Test func aBackfillIsStoredWhole() throws {
        let location = try TestServers.database(.timescale)
        let collector = try CollectorProcess([
            "--database", TestServers.url(location), "--flush-interval", "20", "--accept-past", "off",
        ])
        try Self.send(200, over: 20 * 365 * 86_400, textBytes: 10, source: "backfill", to: collector)
        let stats = try collector.waitForStats(seconds: 60) {
            $0.unaccounted == 0 && $0["records_received"] == 200 && $0["records_in_spill"] == 0
        }
        #expect(stats["records_committed"] == 200 && stats["records_out_of_bounds"] == 0)
        #expect(collector.stop() == 0, "\(collector.logText)")
        let wrong = try Programs.run(["serve", "--accept-past", "90", "--print-configuration"])
        #expect(
            wrong.status == 78 && wrong.errors.contains("'off' or a length of time with its unit"), "\(wrong.errors)")
    }

    /// What waited in the spill for longer than the bounds is as good as on its first day.
    @Test func aReplayIsJudgedByItsArrival() throws {
        let server = try HostPostgres()
        defer { server.stop(SIGQUIT) }
        try server.start()
        let location = try server.makeDatabase("late")
        let spill = try Programs.temporaryFolder("late")
        let flags = ["--database", "\(location)", "--flush-interval", "20", "--spill-directory", spill]
        let first = try CollectorProcess(flags)
        server.stop(SIGQUIT)
        try Self.send(50, over: 50, textBytes: 10, source: "late", to: first)
        #expect(first.stop() == 0, "\(first.logText)")
        try server.start()
        sleep(12)
        let second = try CollectorProcess(flags + ["--accept-past", "60s", "--accept-future", "1s"])
        let stats = try second.waitForStats(seconds: 30) { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        #expect(stats["records_committed"] == 50 && stats["records_out_of_bounds"] == 0, "\(stats)")
        #expect(second.stop() == 0, "\(second.logText)")
    }
}
