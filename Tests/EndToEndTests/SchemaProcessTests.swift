// The schema's commands as processes: many at once, killed in the middle, and what an operator sees of them.

import Foundation
import Postgres
import StoreSchema
import TestSupport
import Testing

@Suite(.serialized) struct SchemaProcessTests {
    @Test(arguments: TestFlavour.allCases) func eightAtOnceMakeOneSchema(_ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let url = TestServers.url(location)
        let running = try (0..<8).map { _ in try Programs.start(["schema", "apply", "--database", url]) }
        for process in running { #expect(process.waitForEnd() == 0) }
        let report = try SchemaManager(DatabaseConnection(location)).status()
        #expect(report.isComplete && report.version == SchemaSQL.version)
        let versions = try DatabaseConnection(location).query("SELECT version FROM spillway.schema_version ORDER BY 1")
        #expect(versions == (1...SchemaSQL.version).map { ["\($0)"] })
    }

    @Test(arguments: TestFlavour.allCases)
    func oneThatIsKilledInTheMiddleLeavesNothingBehind(_ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let url = TestServers.url(location)
        // Whoever makes a table of this name waits for this transaction: that is in the middle of the first migration.
        let other = try DatabaseConnection(location)
        try other.execute("CREATE SCHEMA spillway; BEGIN; CREATE TABLE spillway.dead_letters (a int)")
        let process = try Programs.start(["schema", "apply", "--database", url])
        let watcher = try DatabaseConnection(location)
        var isWaiting = false
        for _ in 0..<200 where !isWaiting {
            usleep(50_000)
            let rows = try watcher.query(
                """
                SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                    AND application_name = 'spillway schema'
                """)
            isWaiting = rows == [["1"]]
        }
        #expect(isWaiting)
        kill(process.processID, SIGKILL)
        _ = process.waitForEnd()
        try other.rollback()
        // The server notices that its client is gone when it answers.
        var sessions = "1"
        for _ in 0..<200 where sessions != "0" {
            usleep(50_000)
            sessions =
                try watcher.query(
                    """
                    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                        AND application_name = 'spillway schema'
                    """)[0][0] ?? ""
        }
        #expect(try SchemaManager(watcher).status().version == nil)
        #expect(
            try watcher.query("SELECT count(*) FROM pg_tables WHERE schemaname IN ('spillway', 'metrics')") == [["0"]])
        let applied = try Programs.run(["schema", "apply", "--database", url])
        #expect(applied.status == 0, "\(applied.errors)")
        #expect(try SchemaManager(watcher).status().isComplete)
    }

    @Test(arguments: TestFlavour.allCases) func policiesAreSetAndShown(_ flavour: TestFlavour) throws {
        let url = TestServers.url(try TestServers.database(flavour))
        let dry = try Programs.run(["schema", "apply", "--dry-run", "--database", url])
        #expect(dry.status == 0 && dry.text.contains("CREATE TABLE IF NOT EXISTS metrics.routing_metrics"))
        #expect(try Programs.run(["schema", "status", "--database", url]).status == 65, "the dry run made nothing")
        let applied = try Programs.run([
            "schema", "apply", "--database", url, "--retention", "30d,system=7d", "--retention", "point=off",
            "--compression", "15d",
        ])
        #expect(applied.status == 0, "\(applied.errors)")
        let again = try Programs.run(["schema", "apply", "--dry-run", "--database", url])
        #expect(again.text == "-- nothing to do\n")
        let status = try Programs.run(["schema", "status", "--database", url, "--json"])
        #expect(status.status == 0)
        let object = try #require(try JSONSerialization.jsonObject(with: status.output) as? [String: Any])
        let tables = try #require(object["tables"] as? [[String: Any]])
        let hours = Dictionary(
            uniqueKeysWithValues: tables.map { ($0["name"] as? String ?? "", $0["drop_after_hours"] as? Int) })
        #expect(hours["metrics.routing_metrics"] == 720 && hours["metrics.system_metrics"] == 168)
        #expect(hours["metrics.metric_points"] == .some(nil))
        for (arguments, words) in [
            (["--retention", "30"], "'30' is not a length of time"),
            (["--compression", "nope=3d"], "there is no kind 'nope'"),
            (["--chunk-interval", "off"], "'off' is not a length of time"),
        ] {
            let refused = try Programs.run(["schema", "apply", "--database", url] + arguments)
            #expect(refused.status == 64 && refused.errors.contains(words), "\(refused.errors)")
        }
    }

    @Test(arguments: TestFlavour.allCases) func cleanupDropsWhatIsOld(_ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let connection = try DatabaseConnection(location)
        let now = Int64(Date().timeIntervalSince1970 * 1e6)
        try SchemaManager(connection, now: { now - 20 * 86_400_000_000 }).apply(daysAhead: 21)
        try connection.execute(
            """
            INSERT INTO metrics.rag_metrics (time) SELECT now() - d * interval '1 day' FROM generate_series(0, 19) d;
            INSERT INTO metrics.rag_metrics (time) VALUES ('2001-01-01 00:00+00')
            """)
        let arguments = ["cleanup", "--database", TestServers.url(location), "--older-than", "10d", "--table", "rag"]
        let dry = try Programs.run(arguments + ["--dry-run"])
        #expect(dry.status == 0 && dry.text.contains("would"), "\(dry.errors)")
        #expect(try connection.query("SELECT count(*) FROM metrics.rag_metrics") == [["21"]])
        let done = try Programs.run(arguments + ["--json"])
        #expect(done.status == 0, "\(done.errors)")
        let old = "SELECT count(*) FROM metrics.rag_metrics WHERE time < now() - interval '11 days'"
        #expect(try connection.query(old) == [["0"]])
        let young = "SELECT count(*) FROM metrics.rag_metrics WHERE time > now() - interval '10 days'"
        #expect(try connection.query(young) == [["10"]])
        #expect(try Programs.run(arguments).text.contains("nothing is older than 10d"))
        let status = try Programs.run(["schema", "status", "--database", TestServers.url(location)])
        #expect(status.text.contains("last maintenance"))
        for (bad, words) in [
            (["--older-than", "x"], "not a length of time"), (["--older-than", "1d", "--table", "x"], "no such table"),
        ] {
            let refused = try Programs.run(["cleanup", "--database", TestServers.url(location)] + bad)
            #expect(refused.status == 64 && refused.errors.contains(words), "\(refused.errors)")
        }
    }

    @Test func deadLettersAreShownAsLinesAndStoredAfterAll() throws {
        let location = try TestServers.database(.plain)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        try connection.execute(
            "ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%7')")
        let collector = try CollectorProcess(["--database", TestServers.url(location)])
        let sent = try Programs.run([
            "send", "--to", "tcp://\(collector.address("tcp"))", "--generate", "routing", "--count", "500", "--seed",
            "3",
        ])
        #expect(sent.status == 0, "\(sent.errors)")
        let stats = try collector.waitForStats { $0["records_committed"] + $0["records_dead_lettered"] == 500 }
        #expect(collector.stop() == 0)
        let dead = Int(stats["records_dead_lettered"])
        #expect(dead == 50)

        func command(_ arguments: String...) throws -> Finished {
            try Programs.run(["dead-letters"] + arguments + ["--database", TestServers.url(location)])
        }
        let list = try command("list")
        #expect(
            list.status == 0 && list.text.contains("picky") && list.text.contains("23514"), "\(list.text)\(list.errors)"
        )
        let shown = try command("show", "--limit", "5")
        let lines = shown.text.split(separator: "\n")
        #expect(lines.count == 5)
        for line in lines {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            let record = try #require(object["record"] as? [String: Any])
            #expect((record["query_id"] as? String)?.hasSuffix("7") == true && object["sqlstate"] as? String == "23514")
        }
        let records = try command("show", "--records")
        #expect(records.text.split(separator: "\n").count == dead)
        // They are lines that the program takes.
        let file = try Programs.temporaryFile("jsonl")
        defer { unlink(file.path) }
        try records.output.write(to: file)
        #expect(try Programs.run(["encode", file.path]).status == 0)

        let refused = try command("resend")
        #expect(refused.status == 65 && refused.errors.contains("picky"), "\(refused.errors)")
        try connection.execute("ALTER TABLE metrics.routing_metrics DROP CONSTRAINT picky")
        let resent = try command("resend")
        #expect(resent.status == 0 && resent.text == "\(dead) records stored, 0 letters left\n", "\(resent.errors)")
        #expect(try connection.query("SELECT count(*) FROM metrics.routing_metrics") == [["500"]])
        #expect(try command("list").text == "no dead letters\n")
        #expect(try command("discard").status == 64)
        #expect(try command("discard", "--all").text == "0 letters removed\n")
    }
}
