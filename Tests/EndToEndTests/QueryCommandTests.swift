// `spillway query` and `spillway database` as a user meets them.

import Foundation
import Postgres
import StoreSchema
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(10))) struct QueryCommandTests {
    /// A database with its schema, and rows by SQL.
    static func database(_ flavour: TestFlavour, _ sql: String = "SELECT 1") throws -> DatabaseLocation {
        let location = try TestServers.database(flavour)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply(daysAhead: 0)
        try connection.execute(sql)
        return location
    }

    static func run(
        _ location: DatabaseLocation, _ arguments: String..., output: URL? = nil
    ) throws -> Finished {
        try Programs.run(arguments + ["--database", TestServers.url(location)], output: output)
    }

    static let routing = """
        INSERT INTO metrics.routing_metrics (time, query_id, model_selected, routing_time_ms, complexity_score, tags) VALUES
            ('2026-11-22 20:00:00.000001+00', 'q1', 'small', 10, 0.1, '{"region": "eu"}'),
            ('2026-11-22 20:30:00+00', 'a,"b"' || chr(10) || 'c', '', 30, NULL, NULL),
            ('2026-11-22 21:00:00+00', NULL, 'small', 100, 'NaN', '{"region": "eu", "x": "a b, c: d"}')
        """

    @Test(arguments: TestFlavour.allCases) func recordsAsLinesAndAsCSV(_ flavour: TestFlavour) throws {
        let location = try Self.database(flavour, Self.routing)
        let lines = try Self.run(location, "query", "routing", "--format", "json")
        #expect(lines.status == 0, "\(lines.errors)")
        #expect(
            lines.text == """
                {"kind":"routing","time":"2026-11-22T21:00:00.000000Z","complexity_score":"NaN","model_selected":"small",\
                "routing_time_ms":100,"tags":{"x":"a b, c: d","region":"eu"}}
                {"kind":"routing","time":"2026-11-22T20:30:00.000000Z","query_id":"a,\\"b\\"\\nc","model_selected":"",\
                "routing_time_ms":30}
                {"kind":"routing","time":"2026-11-22T20:00:00.000001Z","query_id":"q1","complexity_score":0.1,\
                "model_selected":"small","routing_time_ms":10,"tags":{"region":"eu"}}

                """)
        let csv = try Self.run(
            location, "query", "routing", "--format", "csv", "--field",
            "query_id,model_selected,complexity_score,tags.region,tags",
            "--from", "2026-11-22", "--to", "2026-11-22T21:00:00.000001Z")
        #expect(csv.status == 0, "\(csv.errors)")
        #expect(
            csv.text == """
                time,query_id,model_selected,complexity_score,tags.region,tags
                2026-11-22T21:00:00.000000Z,,small,NaN,eu,"{""x"":""a b, c: d"",""region"":""eu""}"
                2026-11-22T20:30:00.000000Z,"a,""b""
                c","",,,
                2026-11-22T20:00:00.000001Z,q1,small,0.1,eu,"{""region"":""eu""}"

                """)
        let none = try Self.run(location, "query", "routing", "--to", "2026-11-22", "--format", "json")
        #expect(none.status == 0 && none.text.isEmpty)
    }

    @Test func csvIsQuotedByBytes() throws {
        let location = try Self.database(.plain)
        let texts = ["\"", "\"\u{301}", "a\r\nb", ",", " a ", "=1+1", "\r", "é\"\"", "a\tb", "\u{1F980},"]
        let connection = try DatabaseConnection(location)
        for (index, text) in texts.enumerated() {
            try connection.query(
                "INSERT INTO metrics.rag_metrics (time, query_text) VALUES (to_timestamp($1::int), $2)",
                ["\(index)", text])
        }
        let csv = try Self.run(location, "query", "rag", "--field", "query_text,query_id", "--format", "csv")
        #expect(csv.status == 0, "\(csv.errors)")
        // PostgreSQL reads it back.
        try connection.execute("CREATE TABLE read (time timestamptz, query_text text, query_id text)")
        try connection.beginCopy(statement: "COPY read FROM STDIN (FORMAT csv, HEADER match)", operation: "COPY read")
        try csv.output.withUnsafeBytes { try connection.sendCopyData($0) }
        #expect(try connection.finishCopy() == texts.count)
        let read = try connection.query("SELECT query_text, query_id FROM read ORDER BY time")
        #expect(read.map { $0[0].map { Array($0.utf8) } } == texts.map { Array($0.utf8) })
        #expect(read.allSatisfy { $0[1] == nil })
    }

    @Test(arguments: TestFlavour.allCases) func aTableIsForPeople(_ flavour: TestFlavour) throws {
        let location = try Self.database(flavour, Self.routing)
        let table = try Self.run(location, "query", "routing", "--where", "routing_time_ms<=30")
        #expect(table.status == 0, "\(table.errors)")
        #expect(
            table.text == """
                time                         query_id  complexity_score  model_selected  routing_time_ms  tags
                2026-11-22T20:30:00.000000Z  a,"b"\\nc                 -                               30  -
                2026-11-22T20:00:00.000001Z  q1                     0.1  small                        10  {"region":"eu"}

                """)
        let none = try Self.run(location, "query", "routing", "--where", "routing_time_ms>1000")
        #expect(none.status == 0 && none.text == "no rows\n")
        let cut = try Self.run(location, "query", "routing", "--limit", "1", "--field", "routing_time_ms")
        #expect(cut.text.split(separator: "\n").count == 2 && cut.errors.contains("only the first 1 row is shown"))
    }

    @Test func aTableDoesNotMoveTheCursorAndSaysThatThereIsMore() throws {
        let location = try Self.database(
            .plain,
            """
            INSERT INTO metrics.rag_metrics (time, query_text, search_strategy)
            SELECT now(), chr(27) || '[2J' || chr(7) || chr(155) || chr(8238) || chr(13), repeat('long ', 100) FROM generate_series(1, 101)
            """)
        let table = try Self.run(location, "query", "rag")
        #expect(table.status == 0, "\(table.errors)")
        #expect(table.text.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control })
        #expect(!table.text.unicodeScalars.contains("\u{202E}"))
        #expect(table.text.contains(#"\u{1b}[2J\u{7}\u{9b}\u{202e}\r"#), "\(table.text.prefix(300))")
        #expect(table.text.contains("long long long long long long long long…"))
        let lines = table.text.split(separator: "\n")
        #expect(lines.count == 101 && lines.allSatisfy { $0.count < 160 })
        #expect(table.errors.contains("the first 100 rows"), "\(table.errors)")
    }

    @Test(arguments: TestFlavour.allCases) func aggregatesInThreeForms(_ flavour: TestFlavour) throws {
        let location = try Self.database(flavour, Self.routing)
        let arguments = [
            "--bucket", "1 hour", "--aggregate", "count,avg,p95", "--field", "routing_time_ms", "--group-by",
            "model_selected",
        ]
        let url = TestServers.url(location)
        func run(_ format: String) throws -> String {
            let result = try Programs.run(["query", "routing", "--database", url, "--format", format] + arguments)
            #expect(result.status == 0, "\(result.errors)")
            return result.text
        }
        #expect(
            try run("json") == """
                {"bucket":"2026-11-22T21:00:00.000000Z","model_selected":"small","count_routing_time_ms":1,\
                "avg_routing_time_ms":100.0,"p95_routing_time_ms":100.0}
                {"bucket":"2026-11-22T20:00:00.000000Z","model_selected":"","count_routing_time_ms":1,\
                "avg_routing_time_ms":30.0,"p95_routing_time_ms":30.0}
                {"bucket":"2026-11-22T20:00:00.000000Z","model_selected":"small","count_routing_time_ms":1,\
                "avg_routing_time_ms":10.0,"p95_routing_time_ms":10.0}

                """)
        #expect(
            try run("csv") == """
                bucket,model_selected,count_routing_time_ms,avg_routing_time_ms,p95_routing_time_ms
                2026-11-22T21:00:00.000000Z,small,1,100.0,100.0
                2026-11-22T20:00:00.000000Z,"",1,30.0,30.0
                2026-11-22T20:00:00.000000Z,small,1,10.0,10.0

                """)
        #expect(try run("table").hasPrefix("bucket                       model_selected  count_routing_time_ms"))
        let groups = try Self.run(
            location, "query", "routing", "--group-by", "tags.region", "--aggregate", "avg", "--field",
            "complexity_score",
            "--format", "json")
        #expect(
            groups.text == """
                {"tags.region":"eu","avg_complexity_score":"NaN"}
                {"tags.region":null,"avg_complexity_score":null}

                """)
        let count = try Self.run(location, "query", "routing", "--aggregate", "count", "--format", "csv")
        #expect(count.text == "count\n3\n")
        let cut = try Self.run(
            location, "query", "routing", "--bucket", "1 hour", "--limit", "1", "--format", "csv")
        #expect(cut.text == "bucket,count\n2026-11-22T21:00:00.000000Z,1\n" && cut.errors.isEmpty)
    }

    @Test func relativeTimesCountFromNow() throws {
        let location = try Self.database(
            .plain,
            """
            INSERT INTO metrics.rag_metrics (time, query_id) VALUES
                (now() - interval '2 days', 'old'), (now() - interval '1 hour', 'new'), (now() + interval '1 hour', 'later')
            """)
        func found(_ arguments: String...) throws -> [String] {
            let result = try Programs.run(
                ["query", "rag", "--format", "csv", "--field", "query_id", "--database", TestServers.url(location)]
                    + arguments)
            #expect(result.status == 0, "\(result.errors)")
            return result.text.split(separator: "\n").dropFirst().map { String($0.split(separator: ",")[1]) }
        }
        #expect(try found("--from", "-24h", "--to", "now") == ["new"])
        #expect(try found("--from=-3d") == ["later", "new", "old"])
        #expect(try found("--to", "-1 day") == ["old"])
    }

    @Test func whatCannotBeAskedIsOneLineAndExit64() throws {
        let nowhere = ["--database", "postgresql://postgres@127.0.0.1:1/none"]
        let wrong: [([String], String)] = [
            (["query", "router"], "agent_evolution"), (["query", "routing", "--where", "colour=red"], "query_id"),
            (["query", "routing", "--field", "query_id,"], "no field \"\""),
            (["query", "routing", "--group-by", "query_id; DROP TABLE x"], "--group-by"),
            (["query", "routing", "--where", "routing_time_ms=fast"], "an integer"),
            (["query", "routing", "--from", "yesterdy"], "--from yesterdy"),
            (["query", "routing", "--from", "2026-02-30"], "no such moment"),
            (["query", "routing", "--to", "-5x"], "--to -5x"),
            (["query", "routing", "--from", "now", "--to", "-1h"], "not before"),
            (["query", "routing", "--bucket", "1 month"], "no fixed length"),
            (["query", "routing", "--aggregate", "avg"], "needs a field"),
            (["query", "routing", "--aggregate", "avg", "--field", "model_selected"], "needs numbers"),
            (["query", "routing", "--aggregate", "median", "--field", "routing_time_ms"], "p50"),
            (["query", "routing", "--limit", "0"], "--limit"), (["query", "routing", "--limit", "10001"], "10000"),
            (["query", "routing", "--format", "xml"], "xml"), (["query", "routing", "--timeout", "0"], "--timeout 0"),
            (["query", "routing", "--bucket", "1M"], "minutes or months: write 1min, or 30d"),
            (["query", "routing", "--group-by", "metadata"], "--group-by: metadata is not a single value"),
            (["query", "routing", "--group-by", "query_id", "--order-by", "x"], "--order-by: the answer has no \"x\""),
            (["query", "routing", "--order-by", "x"], "--order-by: routing has no field"),
            (["query", "all"], "--format json"),
            (["query", "all", "--format", "json", "--aggregate", "count"], "--format json"),
            (["query", "routing", "--day", "2026-11-31"], "no such moment"),
            (["query", "routing", "--day", "-1h"], "a day is"),
            (["query", "routing", "--day", "today", "--to", "now"], "--day today: it is a range already"),
            (["query", "routing", "--timeout", "250ms"], "whole seconds from 1s to 1d"),
            (["query", "routing", "--from", "1795305600"], "a number alone"),
            (["query", "routing", "--format", "json", "--field", "tags.a"], "tags.a"), (["query"], "kind"),
        ]
        for (arguments, reason) in wrong {
            let result = try Programs.run(arguments + nowhere)
            #expect(result.status == 64, "\(arguments): \(result.errors)")
            #expect(result.errors.contains(reason), "\(arguments): \(result.errors)")
            #expect(
                result.errors.split(separator: "\n").count == 1 && result.text.isEmpty, "\(arguments): \(result.errors)"
            )
        }
        #expect(try Programs.run(["query", "routing"]).status == 64)
    }
}
