// What comes through a pipe that stays open goes on, and does not wait for the pipe's end.

import Foundation
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct LivePipeTests {
    private static let lines = Data(
        (0..<3).map { #"{"kind":"routing","time":\#(1_795_305_600_000_000 + $0),"query_id":"q\#($0)"}"# + "\n" }
            .joined().utf8)

    /// A program whose input stays open.
    private final class Fed {
        let process = Process()
        let input = Pipe()
        let output: URL

        init(_ arguments: [String]) throws {
            output = try Programs.temporaryFile("live")
            process.executableURL = Programs.spillway
            process.arguments = arguments
            process.environment = Programs.cleanEnvironment([:])
            process.standardInput = input
            process.standardOutput = try FileHandle(forWritingTo: output)
            try process.run()
        }

        func give(_ bytes: Data) throws { try input.fileHandleForWriting.write(contentsOf: bytes) }

        func end() throws -> Bool {
            try input.fileHandleForWriting.close()
            return Torture.wait(process, seconds: 20)
        }

        deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
    }

    private static func wait(_ file: URL, bytes: Int) throws -> Int {
        try wait(bytes) { try Data(contentsOf: file).count }
    }

    private static func wait(_ file: URL, lines: Int) throws -> Int {
        try wait(lines) { try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")).count }
    }

    private static func wait(_ wanted: Int, _ measure: () throws -> Int) throws -> Int {
        let deadline = Date().addingTimeInterval(5)
        var count = 0
        while count < wanted, Date() < deadline {
            count = try measure()
            usleep(20_000)
        }
        return count
    }

    @Test func encodeAndDecodeWriteWhatCame() throws {
        let encoder = try Fed(["encode"])
        let decoder = try Fed(["decode"])
        var bytes = 0
        for round in 1...3 {
            // Half a line is none yet.
            try encoder.give(Self.lines + Data("{\"kind\":\"rou".utf8))
            let count = try Self.wait(encoder.output, bytes: bytes + 1)
            try #require(count > bytes, "round \(round): nothing was written while the pipe was open")
            let frames = try Data(contentsOf: encoder.output)
            try decoder.give(frames.dropFirst(bytes))
            bytes = frames.count
            // Three lines of each round, and the one that was cut in each before.
            #expect(try Self.wait(decoder.output, lines: 4 * round - 1) == 4 * round - 1)
            try encoder.give(Data("ting\",\"time\":1795305600000009}\n".utf8))
            bytes = try Self.wait(encoder.output, bytes: bytes + 1)
            try decoder.give(try Data(contentsOf: encoder.output).dropFirst(frames.count))
        }
        let ends = [try encoder.end(), try decoder.end()]
        #expect(ends == [true, true])
        #expect(try Data(contentsOf: decoder.output).split(separator: UInt8(ascii: "\n")).count == 12)
    }

    @Test func aTrickleIsNotHeldBackEither() throws {
        let encoder = try Fed(["encode"])
        let line = Data(#"{"kind":"routing","time":1795305600000000}"#.utf8) + Data("\n".utf8)
        for _ in 0..<20 {
            try encoder.give(line)
            usleep(50_000)
        }
        #expect(try Data(contentsOf: encoder.output).count > 0)
        #expect(try encoder.end())
    }

    @Test func aFileThatAStreamGoesToHasWhatCame() throws {
        let file = try Programs.temporaryFile("frames")
        let encoder = try Fed(["encode", "--output", file.path])
        try encoder.give(Self.lines)
        #expect(try Self.wait(file, bytes: 1) > 0)
        #expect(try encoder.end())
    }

    @Test(arguments: ["udp", "tcp", "acknowledged"]) func recordsAreSent(_ way: String) throws {
        let collector = try CollectorProcess(["--database", "discard"])
        let transport = way == "udp" ? "udp" : "tcp"
        var arguments = ["send", "--to", "\(transport)://\(try collector.address(transport))", "--file", "-"]
        if way == "acknowledged" { arguments += ["--acknowledged"] }
        let sender = try Fed(arguments)
        for round in 1...3 {
            try sender.give(Self.lines)
            let stats = try collector.waitForStats(seconds: 5) { $0["records_received"] == 3 * round }
            try #require(stats["records_received"] == 3 * round, "round \(round)")
        }
        #expect(try sender.end())
        #expect(collector.stop() == 0)
    }

    @Test(arguments: ["udp", "tcp"]) func framesAreSent(_ transport: String) throws {
        let lines = try Programs.temporaryFile("jsonl")
        try Self.lines.write(to: lines)
        let frames = try Programs.run(["encode", "--source", "live", lines.path]).output
        let collector = try CollectorProcess(["--database", "discard"])
        let sender = try Fed(["send", "--to", "\(transport)://\(try collector.address(transport))", "--file", "-"])
        try sender.give(frames)
        #expect(try collector.waitForStats(seconds: 5) { $0["records_received"] == 3 }["records_received"] == 3)
        #expect(try sender.end())
        #expect(collector.stop() == 0)
    }
}
