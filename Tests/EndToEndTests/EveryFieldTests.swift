// A million records of all kinds over TCP into TimescaleDB: every field of every record is what was sent.
//
// The comparison goes another way than the rows did: the records are printed as JSON lines, PostgreSQL itself makes rows of
// those, and both sets of rows are compared in SQL.

import Foundation
import Postgres
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(10))) struct EveryFieldTests {
    private static let kinds = [
        "routing", "memory", "attention", "compute", "execution", "agent_evolution", "rag", "system", "point",
    ]

    @Test(arguments: [(TestFlavour.timescale, 1_000_000), (.plain, 100_000)])
    func everyFieldOfEveryRecordIsStoredAsItWasSent(_ flavour: TestFlavour, _ count: Int) throws {
        let generate = ["--generate", "all", "--count", "\(count)", "--seed", "20261122"]
        let start = ["--start-time", "2026-11-22T00:00:00Z"]
        let frames = try Programs.temporaryFile("frames")
        let lines = try Programs.temporaryFile("jsonl")
        defer {
            unlink(frames.path)
            unlink(lines.path)
        }
        #expect(try Programs.run(["encode"] + generate + start, output: frames).status == 0)
        #expect(try Programs.run(["decode", frames.path], output: lines).status == 0)

        let location = try TestServers.database(flavour)
        let collector = try CollectorProcess(["--database", TestServers.url(location)])
        let sent = try Programs.run(["send", "--to", "tcp://\(try collector.address("tcp"))"] + generate + start)
        #expect(sent.status == 0, "\(sent.errors)")
        print("send: \(sent.text)")
        let stats = try collector.waitForStats(seconds: 300) { $0["records_committed"] >= count }
        #expect(stats["records_received"] == count)
        #expect(stats["records_committed"] == count)
        #expect(stats.unaccounted == 0)
        #expect(collector.stop() == 0)

        var options = ConnectionOptions(applicationName: "comparison")
        // The comparison sorts a million rows without a word.
        options.silenceTimeoutMilliseconds = 300_000
        let connection = try DatabaseConnection(location, options: options)
        try connection.execute("CREATE UNLOGGED TABLE sent (line jsonb)")
        // CSV with characters as quote and delimiter that the lines do not have.
        let text = try Data(contentsOf: lines)
        try connection.beginCopy(
            statement: "COPY sent FROM STDIN (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')",
            operation: "COPY sent")
        var rest = text[...]
        while !rest.isEmpty {
            try rest.prefix(1 << 20).withUnsafeBytes { try connection.sendCopyData($0) }
            rest = rest.dropFirst(1 << 20)
        }
        #expect(try connection.finishCopy() == count)

        var total = 0
        for kind in Self.kinds {
            let table = kind == "point" ? "metrics.metric_points" : "metrics.\(kind)_metrics"
            let expected = """
                SELECT (jsonb_populate_record(NULL::\(table), line - 'kind')).*
                FROM sent WHERE line->>'kind' = '\(kind)'
                """
            let row = try connection.query(
                """
                SELECT (SELECT count(*) FROM \(table)),
                       (SELECT count(*) FROM (SELECT * FROM \(table) EXCEPT ALL \(expected)) more),
                       (SELECT count(*) FROM (\(expected) EXCEPT ALL SELECT * FROM \(table)) less)
                """
            )[0]
            #expect(row[1] == "0", "\(kind): rows that were not sent")
            #expect(row[2] == "0", "\(kind): records without a row")
            let rows = try #require(row[0].flatMap { Int($0) })
            #expect(rows > 0)
            total += rows
        }
        #expect(total == count)
    }
}
