// The commands that read, against whole databases: what they hold, who may ask, and what goes round.

import Foundation
import Postgres
import StoreSchema
import Testing
import TestSupport

extension QueryCommandTests {
    @Test func aDatabaseThatCannotAnswerExitsWith69() throws {
        let nowhere = "postgresql://postgres@127.0.0.1:1/none?connect_timeout=2"
        for command in [["query", "routing"], ["database"]] {
            #expect(try Programs.run(command + ["--database", nowhere]).status == 69)
        }
        let empty = try Self.run(TestServers.database(.plain), "query", "routing")
        #expect(empty.status == 69 && empty.errors.contains("schema apply"), "\(empty.errors)")
        // Another session keeps the table to itself.
        let location = try Self.database(.plain)
        let other = try DatabaseConnection(location)
        try other.execute("BEGIN; LOCK TABLE metrics.routing_metrics IN ACCESS EXCLUSIVE MODE")
        let late = try Self.run(location, "query", "routing", "--timeout", "1")
        #expect(late.status == 69 && late.errors.contains("--timeout"), "\(late.errors)")
        #expect(late.errors.split(separator: "\n").count == 1)
        try other.rollback()
        #expect(try Self.run(location, "query", "routing", "--timeout", "1").status == 0)
    }

    @Test(arguments: TestFlavour.allCases) func theDatabaseIsDescribed(_ flavour: TestFlavour) throws {
        let location = try Self.database(flavour, Self.routing)
        let json = try Self.run(location, "database", "--json", "--exact")
        #expect(json.status == 0, "\(json.errors)")
        let object = try #require(try JSONSerialization.jsonObject(with: json.output) as? [String: Any])
        let tables = try #require(object["tables"] as? [[String: Any]])
        #expect(tables.count == 9)
        let routing = try #require(tables.first)
        #expect(routing["name"] as? String == "metrics.routing_metrics")
        #expect(routing["rows"] as? Int == 3 && routing["rows_are_exact"] as? Bool == true)
        #expect(routing["earliest"] as? String == "2026-11-22T20:00:00.000001Z")
        #expect(routing["latest"] as? String == "2026-11-22T21:00:00.000000Z")
        #expect((routing["compressed_chunks"] is NSNull) == (flavour != .community))
        #expect((routing["total_bytes"] as? Int ?? 0) > 8_192)
        #expect((object["collector_tables"] as? [Any])?.isEmpty == false)
        #expect(object["schema_version"] as? Int == SchemaSQL.version)

        let text = try Self.run(location, "database")
        #expect(text.status == 0, "\(text.errors)")
        #expect(text.text.contains("metrics.routing_metrics") && text.text.contains("2026-11-22T20:00:00Z"))
        #expect(text.text.contains("spillway.dead_letters") && text.text.contains("~"))
        #expect(!text.text.contains("Not shown"))
    }

    @Test(arguments: TestFlavour.local) func aUserThatMayOnlySelectIsEnough(_ flavour: TestFlavour) throws {
        let location = try Self.database(flavour, Self.routing)
        let name = "analyst_\(location.database ?? "")"
        try DatabaseConnection(location).execute(
            """
            CREATE ROLE \(name) LOGIN;
            GRANT USAGE ON SCHEMA metrics TO \(name);
            GRANT SELECT ON ALL TABLES IN SCHEMA metrics TO \(name)
            """)
        let url = TestServers.url(location).replacing("//postgres@", with: "//\(name)@")
        try #require(url.contains(name))
        let records = try Programs.run(["query", "routing", "--format", "csv", "--database", url])
        #expect(records.status == 0, "\(records.errors)")
        #expect(records.text.contains("q1"))
        let count = try Programs.run(["query", "routing", "--bucket", "1 day", "--format", "csv", "--database", url])
        #expect(count.text == "bucket,count\n2026-11-22T00:00:00.000000Z,3\n", "\(count.errors)")
        let database = try Programs.run(["database", "--exact", "--database", url])
        #expect(database.status == 0, "\(database.errors)")
        #expect(
            database.text.contains("Not shown\n")
                && database.text.contains("spillway.batches: this user may not read it"))
        #expect(!database.text.contains("metrics.routing_metrics: this user"))
    }

    @Test(arguments: TestFlavour.allCases) func whatIsQueriedCanBeEncodedAgainAndIsTheSame(_ flavour: TestFlavour)
        throws
    {
        let location = try Self.database(flavour)
        let collector = try CollectorProcess(["--database", TestServers.url(location)])
        let sent = try Programs.run([
            "send", "--to", "tcp://\(collector.address("tcp"))", "--generate", "all", "--count", "18000", "--seed", "7",
            "--start-time", "2026-11-22T00:00:00Z",
        ])
        #expect(sent.status == 0, "\(sent.errors)")
        _ = try collector.waitForStats { $0["records_committed"] == 18_000 }
        #expect(collector.stop() == 0)
        let connection = try DatabaseConnection(location)
        try connection.execute("CREATE TABLE queried (line jsonb)")
        for kind in [
            "routing", "memory", "attention", "compute", "execution", "agent_evolution", "rag", "system", "point",
        ] {
            let lines = try Programs.temporaryFile("jsonl")
            let frames = try Programs.temporaryFile("frames")
            defer {
                unlink(lines.path)
                unlink(frames.path)
            }
            #expect(try Self.run(location, "query", kind, "--format", "json", output: lines).status == 0)
            let encoded = try Programs.run(["encode", lines.path], output: frames)
            #expect(encoded.status == 0, "\(encoded.errors)")
            let decoded = try Programs.run(["decode", frames.path])
            #expect(try Self.objects(decoded.output) == Self.objects(try Data(contentsOf: lines)))

            // PostgreSQL itself makes rows of the lines: the same ones.
            try connection.execute("TRUNCATE queried")
            try connection.beginCopy(
                statement: "COPY queried FROM STDIN (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')",
                operation: "COPY queried")
            try Data(contentsOf: lines).withUnsafeBytes { try connection.sendCopyData($0) }
            #expect(try connection.finishCopy() == 2_000)
            let table = kind == "point" ? "metrics.metric_points" : "metrics.\(kind)_metrics"
            let rows = "SELECT (jsonb_populate_record(NULL::\(table), line - 'kind')).* FROM queried"
            let difference = try connection.query(
                """
                SELECT (SELECT count(*) FROM (SELECT * FROM \(table) EXCEPT ALL \(rows)) more),
                       (SELECT count(*) FROM (\(rows) EXCEPT ALL SELECT * FROM \(table)) less)
                """)
            #expect(difference == [["0", "0"]], "\(kind)")
        }
    }

    @Test func metadataKeepsItsValuesAndCanBeEncoded() throws {
        let location = try Self.database(
            .plain,
            #"""
            INSERT INTO metrics.rag_metrics (time, metadata) VALUES
                ('2026-11-22', '{"big": 1e300, "small": -1.25e-290, "text": "a \\\" 1 , : ", "list": [1, 2.50, {}], "zero": 0e-300}')
            """#)
        let lines = try Programs.temporaryFile("jsonl")
        defer { unlink(lines.path) }
        #expect(try Self.run(location, "query", "rag", "--format", "json", output: lines).status == 0)
        let text = String(decoding: try Data(contentsOf: lines), as: UTF8.self)
        #expect(text.contains(#""big":1e300"#) && text.contains(#""small":-125e-292"#), "\(text)")
        #expect(text.contains(#""text":"a \\\" 1 , : ""#) && text.contains(#""list":[1,2.50,{}]"#), "\(text)")
        let frames = try Programs.temporaryFile("frames")
        defer { unlink(frames.path) }
        let encoded = try Programs.run(["encode", lines.path], output: frames)
        #expect(encoded.status == 0, "\(encoded.errors)")
        #expect(try Programs.run(["decode", frames.path]).text == text)
        // A tag's key may hold what JSON quotes.
        let groups = try Self.run(location, "query", "rag", "--group-by", #"tags.a"b"#, "--format", "json")
        #expect(groups.text == #"{"tags.a\"b":null,"count":1}"# + "\n", "\(groups.errors)")
    }

    /// The lines without the order of their keys: JSONB has another one than frames have.
    private static func objects(_ lines: Data) throws -> [NSDictionary] {
        try lines.split(separator: 0x0A).map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line)) as? NSDictionary)
        }
    }

    @Test func aReaderThatGoesAwayEndsTheQuery() throws {
        let location = try Self.database(
            .plain, "INSERT INTO metrics.rag_metrics (time) SELECT now() FROM generate_series(1, 100000)")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = [
            "-c", "\"$0\" query rag --format json --database \"$1\" | head -n 3", Programs.spillway.path,
            TestServers.url(location),
        ]
        process.environment = Programs.cleanEnvironment([:])
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(String(decoding: data, as: UTF8.self).split(separator: "\n").count == 3)
    }
}
