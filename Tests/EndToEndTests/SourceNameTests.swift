// The name of a program, from `--source` to what operators read.

import Foundation
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(5))) struct SourceNameTests {
    @Test(arguments: ["udp", "tcp", "acknowledged"])
    func theNameIsShownBySendStatsAndMetrics(_ way: String) throws {
        let collector = try CollectorProcess(["--database", "discard", "--flush-interval", "20"])
        let transport = way == "udp" ? "udp" : "tcp"
        let sent = try Programs.run(
            [
                "send", "--to", "\(transport)://\(collector.address(transport))", "--generate", "all", "--count", "9",
                "--source", "import",
            ] + (way == "acknowledged" ? ["--acknowledged"] : []))
        #expect(sent.status == 0, "\(sent.errors)")
        #expect(
            sent.text.contains(/name +import\n/) && sent.text.contains(/source +f4d30088534a1af4\n/), "\(sent.text)")
        _ = try collector.waitForStats { $0["records_committed"] == 9 && $0["heartbeats_received"] >= 1 }

        let json = try collector.get("/stats").body
        #expect(json.contains(#""source": "f4d30088534a1af4", "name": "import""#), "\(json)")
        let table = try Programs.run(["stats", "--http", try collector.address("http")]).text
        #expect(table.contains(/\nf4d30088534a1af4  import  +127\.0\.0\.1:/), "\(table)")
        let metrics = try collector.get("/metrics").body
        #expect(metrics.contains("spillway_source_info{source=\"f4d30088534a1af4\",name=\"import\"} 1\n"), "\(metrics)")
        #expect(metrics.contains("spillway_source_records_received_total{source=\"f4d30088534a1af4\"} 9\n"))
        #expect(collector.stop() == 0)
    }

    @Test func aHostileNameIsEscapedEverywhere() throws {
        let collector = try CollectorProcess(["--database", "discard", "--flush-interval", "20"])
        let name = "\u{1B}[2J\"\n\\\u{202E}spillway_forged 1"
        let sent = try Programs.run([
            "send", "--to", "udp://\(collector.address("udp"))", "--generate", "all", "--count", "9", "--source", name,
        ])
        #expect(sent.status == 0, "\(sent.errors)")
        #expect(!sent.text.contains("\u{1B}") && !sent.text.contains("\u{202E}"))
        _ = try collector.waitForStats { $0["records_committed"] == 9 && $0["heartbeats_received"] >= 1 }
        let table = try Programs.run(["stats", "--http", try collector.address("http")]).text
        #expect(table.contains(#"\u{1B}[2J"\u{A}\\u{202E}spillway_"#), "\(table)")
        #expect(!table.contains("\u{1B}") && !table.contains("\u{202E}"))
        let metrics = try collector.get("/metrics").body
        #expect(!metrics.contains("\nspillway_forged") && !metrics.contains("\u{1B}"), "\(metrics)")
        let json = try JSONSerialization.jsonObject(with: Data(try collector.get("/stats").body.utf8)) as? [String: Any]
        let sources = json?["sources"] as? [[String: Any]]
        #expect(sources?.compactMap { $0["name"] as? String } == [name])
        #expect(collector.stop() == 0)
    }

    @Test func framesOfAFileHaveNamesOfTheirOwn() throws {
        let collector = try CollectorProcess(["--database", "discard"])
        let frames = try Programs.temporaryFile("frames")
        defer { unlink(frames.path) }
        let encoded = try Programs.run(
            ["encode", "--generate", "all", "--count", "9", "--source", "a"], output: frames)
        #expect(encoded.status == 0, "\(encoded.errors)")
        let sent = try Programs.run([
            "send", "--to", "tcp://\(collector.address("tcp"))", "--file", frames.path, "--json",
        ])
        #expect(sent.status == 0, "\(sent.errors)")
        #expect(!sent.text.contains("source"), "\(sent.text)")
        #expect(collector.stop() == 0)
    }
}
