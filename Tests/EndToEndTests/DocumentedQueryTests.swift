// The queries of README.md and of `spillway query --help`, on what the generator makes: each has an answer.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct DocumentedQueryTests {
    private static let readme = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "README.md")

    /// Up to a comment, a pipe or a redirection that is not in quotes.
    private static func command(_ line: Substring) -> String {
        var isQuoted = false
        for index in line.indices {
            if line[index] == "'" { isQuoted.toggle() }
            if !isQuoted, "#|>".contains(line[index]) { return String(line[..<index]) }
        }
        return String(line)
    }

    private static func commands(_ text: String) -> [String] {
        text.split(separator: "\n").map { $0.drop { $0 == " " } }.filter { $0.hasPrefix("spillway query ") }.map {
            command($0)
        }
    }

    @Test func everyQueryOfTheDocumentsHasAnAnswer() throws {
        let location = try TestServers.database(.plain)
        let collector = try CollectorProcess(["--database", TestServers.url(location)])
        // From yesterday to now, so that each range of the examples has some: one day apart, and the last minutes.
        let day = 86_400.0
        let formatter = ISO8601DateFormatter()
        let now = Date().timeIntervalSince1970
        let today = max(now - 60, (now / day).rounded(.down) * day)
        for start in [now - day, today].map({ Date(timeIntervalSince1970: $0) }) {
            let sent = try Programs.run([
                "send", "--to", "tcp://\(try collector.address("tcp"))", "--acknowledged", "--generate", "all",
                "--count", "9000",
                "--start-time", formatter.string(from: start),
            ])
            #expect(sent.status == 0, "\(sent.errors)")
        }
        let help = try Programs.run(["query", "--help"])
        let readme = Self.commands(try String(contentsOf: Self.readme, encoding: .utf8))
        let examples = Self.commands(help.text)
        #expect(readme.count >= 5 && examples.count >= 5)
        for line in readme + examples {
            // Dates of the text are in the past or in the future of the test.
            guard !line.contains("2026-") else { continue }
            let shell =
                line.replacing("spillway query", with: "'\(Programs.spillway.path)' query")
                + " --database '\(TestServers.url(location))'"
            let result = try Programs.run(["-c", shell], program: URL(fileURLWithPath: "/bin/sh"))
            #expect(result.status == 0, "\(line): \(result.errors)")
            #expect(
                result.text.split(separator: "\n").count > 1 && !result.text.contains("no rows"),
                "\(line): \(result.text)")
        }
        #expect(collector.stop() == 0)
    }

    @Test func aQuestionThatIsGeneratedIsReadable() throws {
        let lines = try Programs.run(["encode", "--generate", "routing", "--count", "2000"])
        let file = try Programs.temporaryFile("frames")
        try lines.output.write(to: file)
        let decoded = try Programs.run(["decode", file.path])
        #expect(!decoded.text.contains("??"))
        let texts = decoded.text.split(separator: "\n").compactMap { line -> String? in
            guard let name = line.firstRange(of: "\"query_text\":\"") else { return nil }
            let rest: Substring = line[name.upperBound...]
            return String(rest.prefix { $0 != "\"" })
        }
        #expect(texts.count == 2_000 && texts.allSatisfy { $0.utf8.count == 30 && $0.hasSuffix("?") })
        #expect(Set(texts).count > 450)
    }
}
