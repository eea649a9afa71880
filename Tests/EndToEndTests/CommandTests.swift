// The commands as a user meets them: what they print, where, and how they end.

import Foundation
import Postgres
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(10))) struct CommandTests {
    private static let line =
        #"{"kind":"routing","time":"2026-11-22T20:05:00.123456Z","query_id":"q1","complexity_score":0.8,"#
        + #""tags":{"region":"eu"},"metadata":{"a":[1]}}"#

    private func file(_ text: String) throws -> URL {
        let url = try Programs.temporaryFile("jsonl")
        try Data(text.utf8).write(to: url)
        return url
    }

    @Test func everySettingHasAFlag() throws {
        let help = try Programs.run(["serve", "--help"]).text
        let names = try Programs.run(["serve", "--print-configuration"]).text.split(separator: "\n").compactMap {
            $0.firstMatch(of: /^(?:# )?([a-z-]+) =/)?.1
        }
        #expect(names.count > 25)
        for name in names { #expect(help.contains("--\(name) ") || help.contains("--\(name)\n"), "\(name)") }
    }

    @Test func encodeAndDecodeGiveTheSameLinesBack() throws {
        let lines = try file(Self.line + "\n" + Self.line.replacing("q1", with: "q\u{e9}\u{1f980}2") + "\n")
        let frames = try Programs.temporaryFile("frames")
        #expect(try Programs.run(["encode", lines.path], output: frames).status == 0)
        let decoded = try Programs.run(["decode", "-"], input: frames)
        #expect(decoded.status == 0, "\(decoded.errors)")
        #expect(decoded.output == (try Data(contentsOf: lines)))
    }

    @Test(arguments: [
        (#"{"kind":"routing","time":0,"colour":"red"}"#, "colour"), (#"{"kind":"router","time":0}"#, "router"),
        (#"{"kind":"routing"}"#, "time"),
        (#"{"kind":"routing","time":0,"routing_time_ms":2147483648}"#, "routing_time_ms"),
        (#"{"kind":"memory","time":0,"cache_hit":"yes"}"#, "cache_hit"), (#"{"kind":"routing","time":0"#, "JSON"),
        (#"{"kind":"routing","time":0,"query_id":"a\u0000b"}"#, "query_id"),
    ])
    func aBadLineIsNamedByLineAndFieldAndNothingOfItIsSent(_ bad: String, _ field: String) throws {
        let lines = try file(Self.line + "\n" + bad + "\n")
        let encoded = try Programs.run(["encode", lines.path])
        #expect(encoded.status == 65)
        #expect(encoded.errors.contains("\(lines.path):2"), "\(encoded.errors)")
        #expect(encoded.errors.contains(field), "\(encoded.errors)")
        #expect(encoded.errors.split(separator: "\n").count == 1, "\(encoded.errors)")
    }

    @Test func damagedFramesAreNamedByTheirPlace() throws {
        var bytes = try Programs.run(["encode", "--generate", "all", "--count", "50", "--seed", "1"]).output
        bytes[bytes.count / 2] ^= 1
        let frames = try Programs.temporaryFile("frames")
        try bytes.write(to: frames)
        let decoded = try Programs.run(["decode", frames.path])
        #expect(decoded.status == 65)
        #expect(decoded.errors.contains("checksum_mismatch"), "\(decoded.errors)")
    }

    @Test func usageErrorsExitWith64() throws {
        #expect(try Programs.run(["serve", "--no-such-flag"]).status == 64)
        #expect(try Programs.run(["send", "--to", "nonsense", "--generate", "all", "--count", "1"]).status == 64)
        #expect(try Programs.run(["schema", "apply"]).status == 64)
        #expect(try Programs.run(["fly"]).status == 64)
    }

    @Test func everyCommandHasHelp() throws {
        for command in ["serve", "send", "encode", "decode", "schema", "stats", "query", "database"] {
            let help = try Programs.run([command, "--help"])
            #expect(help.status == 0)
            #expect(help.text.contains("USAGE: spillway \(command)"), "\(help.text)")
        }
    }

    @Test func aServerThatIsNotThereExitsWith69() throws {
        let nowhere = "postgresql://postgres@127.0.0.1:1/none?connect_timeout=2"
        #expect(try Programs.run(["schema", "status", "--database", nowhere]).status == 69)
        #expect(try Programs.run(["stats", "--http", "127.0.0.1:1"]).status == 69)
        let send = try Programs.run(["send", "--to", "tcp://127.0.0.1:1", "--generate", "all", "--count", "1"])
        #expect(send.status == 69)
        #expect(send.errors.split(separator: "\n").count == 1, "\(send.errors)")
    }

    @Test func aBadSettingExitsWith78AndSaysWhere() throws {
        let result = try Programs.run(["serve", "--database", "discard"], environment: ["SPILLWAY_LANES": "none"])
        #expect(result.status == 78)
        #expect(result.errors.contains("environment SPILLWAY_LANES"), "\(result.errors)")
    }

    @Test func aListenerBeyondLoopbackWantsItsFlag() throws {
        let arguments = ["serve", "--database", "discard", "--tcp", "none", "--http", "none", "--udp"]
        let refused = try Programs.run(arguments + ["0.0.0.0:0"])
        #expect(refused.status == 78)
        #expect(refused.errors.contains("--allow-unauthenticated"), "\(refused.errors)")
        let allowed = try CollectorProcess(
            ["--database", "discard", "--udp", "0.0.0.0:0", "--allow-unauthenticated"])
        #expect(allowed.readyLine.contains("udp=0.0.0.0:"))
        #expect(allowed.stop() == 0)
    }

    @Test func schemaApplyAndStatusWorkOnBothFlavours() throws {
        for flavour in TestFlavour.allCases {
            let url = TestServers.url(try TestServers.database(flavour))
            #expect(try Programs.run(["schema", "status", "--database", url]).status == 65)
            let applied = try Programs.run(["schema", "apply", "--database", url, "--json"])
            #expect(applied.status == 0, "\(applied.errors)")
            #expect(try JSONSerialization.jsonObject(with: applied.output) is [String: Any])
            let status = try Programs.run(["schema", "status", "--database", url])
            #expect(status.status == 0, "\(status.errors)")
            #expect(status.text.contains("metrics.routing_metrics"))
            let printed = try Programs.run(["schema", "print", "--database", url])
            #expect(printed.status == 0, "\(printed.errors)")
            #expect(printed.text.contains("create_hypertable") == (flavour != .plain))
        }
    }

    @Test func theHTTPSideAnswersItsFourPathsAndPrometheusReadsTheMetrics() throws {
        let collector = try CollectorProcess(["--database", "discard"])
        let sent = try Programs.run([
            "send", "--to", "udp://\(collector.address("udp"))", "--generate", "all", "--count", "90",
        ])
        #expect(sent.status == 0, "\(sent.errors)")
        let stats = try collector.waitForStats { $0["records_committed"] == 90 }
        #expect(stats.sources.count == 1)
        #expect(stats.sources.first?.totals["records_committed"] == 90)
        #expect(try collector.get("/healthz").status == 200)
        #expect(try collector.get("/readyz").status == 200)
        #expect(try collector.get("/nothing").status == 404)
        let metrics = try collector.get("/metrics").body
        #expect(metrics.contains("\nspillway_records_received_total 90\n"))
        #expect(metrics.contains("spillway_frames_refused_total{reason=\"checksum_mismatch\"} 0"))
        let table = try Programs.run(["stats", "--http", collector.address("http")])
        #expect(table.status == 0, "\(table.errors)")
        #expect(table.text.contains("records_received") || table.text.contains("records received"))
        #expect(collector.stop(SIGINT) == 0)
    }

    @Test func theEmbeddedDatabaseIsMadeStoppedAndFoundAgain() throws {
        let folder = try TestServers.folder.get() + "/embedded-\(getpid())"
        for run in 1...2 {
            let collector = try CollectorProcess(["--database", "embedded:\(folder)", "--system-metrics", "true"])
            let sent = try Programs.run([
                "send", "--to", "tcp://\(collector.address("tcp"))", "--generate", "routing", "--count", "1000",
            ])
            #expect(sent.status == 0, "\(sent.errors)")
            // The host's own record comes through the same door.
            let stats = try collector.waitForStats { $0["records_committed"] >= 1_001 }
            #expect(stats.database?.contains("TimescaleDB") == true, "\(stats.database ?? "")")
            let part = try #require(collector.readyLine.components(separatedBy: "database=").last)
            #expect(part.contains(folder))
            let connection = try DatabaseConnection(TestServers.embeddedLocation(folder))
            let rows = try connection.query("SELECT count(*) FROM metrics.routing_metrics")[0][0]
            #expect(rows == "\(run * 1_000)")
            #expect(try connection.query("SELECT cpu_usage_percent FROM metrics.system_metrics")[0][0] != nil)
            #expect(collector.stop() == 0, "\(collector.logText)")
            #expect(throws: DatabaseError.self) {
                try DatabaseConnection(TestServers.embeddedLocation(folder))
            }
        }
    }
}
