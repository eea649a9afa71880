// The conversations of protocol/vectors, held with the real collector by a client in plain Python.

import Foundation
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(10))) struct ConversationTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appending(path: "../../protocol/vectors").standardizedFileURL

    private static func script(_ arguments: [String]) throws -> Finished {
        try Programs.run(
            ["python3", "-B", folder.appending(path: "conversations.py").path] + arguments,
            program: URL(fileURLWithPath: "/usr/bin/env"))
    }

    private func play(_ collector: CollectorProcess, _ more: [String] = []) throws -> Finished {
        try Self.script(
            [
                "play", "--tcp", try collector.address("tcp"), "--udp", try collector.address("udp"), "--http",
                try collector.address("http"),
            ] + more)
    }

    @Test func theFileIsWhatTheCasesSay() throws {
        let checked = try Self.script(["check"])
        #expect(checked.status == 0, "\(checked.text) \(checked.errors)")
    }

    @Test func theCollectorKeepsToEveryConversation() throws {
        let collector = try CollectorProcess(["--database", "discard", "--flush-interval", "20"])
        let held = try play(collector)
        #expect(held.status == 0, "\(held.text) \(held.errors)")
        #expect(held.text.contains(" 0 complaints"), "\(held.text)")
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    /// With a database behind it: what is acknowledged is committed, and welcomes wait for what the database knows.
    @Test func theCollectorKeepsToTheConversationsOverADatabaseToo() throws {
        let location = try TestServers.database(.plain)
        let collector = try CollectorProcess(["--database", TestServers.url(location), "--flush-interval", "20"])
        let names = ["plain", "welcome-with-ranges", "resent", "two-sessions", "heartbeat-refused", "malformed-inside"]
        let held = try play(collector, names)
        #expect(held.status == 0, "\(held.text) \(held.errors)")
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    /// The player itself can fail: of an answer that does not come, of another one, of a counter.
    @Test(arguments: [
        (#""frames_resent":1"#, #""frames_resent":2"#, "source-0"), (#""code":28"#, #""code":29"#, "heartbeat-refused"),
        (#""implausible_sequences":1"#, #""implausible_sequences":0"#, "sequence-implausible"),
    ])
    func aDifferenceIsReported(_ right: String, _ wrong: String, _ name: String) throws {
        let text = String(
            decoding: try Data(contentsOf: Self.folder.appending(path: "conversations.json")), as: UTF8.self)
        #expect(text.contains(right))
        let file = try Programs.temporaryFile("json")
        defer { unlink(file.path) }
        try Data(text.replacing(right, with: wrong).utf8).write(to: file)
        let collector = try CollectorProcess(["--database", "discard", "--flush-interval", "20"])
        let held = try play(collector, ["--file", file.path, name])
        #expect(held.status == 1)
        #expect(held.text.contains("\(name): ") && held.text.contains(" 1 complaints"), "\(held.text) \(held.errors)")
        #expect(collector.stop() == 0, "\(collector.logText)")
    }
}
