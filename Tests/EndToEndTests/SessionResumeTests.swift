// `send --acknowledged --session` does not confirm records of a run for those of another one.

import Foundation
import Postgres
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(5))) struct SessionResumeTests {
    private func send(_ seed: Int, to collector: CollectorProcess, _ more: [String] = []) throws -> Finished {
        try Programs.run(
            [
                "send", "--to", "tcp://\(collector.address("tcp"))", "--generate", "all", "--count", "50", "--seed",
                "\(seed)", "--acknowledged", "--session", "7", "--json",
            ] + more)
    }

    @Test func recordsOfAnotherRunAreNotConfirmed() throws {
        let collector = try CollectorProcess(["--database", "discard"])
        let first = try send(1, to: collector)
        #expect(first.status == 0, "\(first.errors)")
        #expect(first.text.contains(#""records_acknowledged":50"#), "\(first.text)")
        let second = try send(1, to: collector)
        #expect(second.status == 65, "\(second.errors)")
        #expect(second.errors.contains("--resume"), "\(second.errors)")
        // Other records under the same number are stored.
        let other = try send(2, to: collector)
        #expect(other.status == 0 && other.text.contains(#""records_acknowledged":50"#), "\(other.errors)")
        // The same run again, which the user says.
        let resumed = try send(1, to: collector, ["--resume"])
        #expect(resumed.status == 0, "\(resumed.errors)")
        #expect(resumed.text.contains(#""records_acknowledged":50"#), "\(resumed.text)")
        #expect(collector.stop() == 0)
    }

    private func lines(_ numbers: Range<Int>) -> String {
        numbers.map {
            "{\"kind\":\"point\",\"time\":1795305600000000,\"metric_name\":\"m\",\"value\":\($0)}\n"
        }.joined()
    }

    /// Runs the program behind a pipe that pauses between its texts for longer than a live input's records wait.
    private func run(_ arguments: [String], _ texts: [String]) throws -> Finished {
        let files = try texts.map { text in
            let file = try Programs.temporaryFile("part")
            try Data(text.utf8).write(to: file)
            return file.path
        }
        defer { for file in files { unlink(file) } }
        let script =
            "program=$1; parts=$2; shift 2; for part in $parts; do cat $part; sleep 0.4; done | \"$program\" \"$@\""
        return try Programs.run(
            ["-c", script, "sh", Programs.spillway.path, files.joined(separator: " ")] + arguments,
            program: URL(fileURLWithPath: "/bin/sh"))
    }

    /// A frame that was cut short, by a pause of its input or at a bad line, would stand for the records of a whole one.
    @Test func aRunGoesOnWithFramesOfTheSameRecords() throws {
        let server = try TestServers.database(.plain)
        let collector = try CollectorProcess(["--database", TestServers.url(server)])
        let arguments = try [
            "send", "--to", "tcp://\(collector.address("tcp"))", "--file", "-", "--acknowledged", "--session", "9",
        ]
        // 1,500 records come with pauses, and then a line that is none.
        let first = try run(arguments, [lines(0..<700), lines(700..<1_500), "none\n"])
        #expect(first.status == 65 && first.errors.contains("--resume"), "\(first.errors)")
        let second = try run(arguments + ["--resume"], [lines(0..<5_000)])
        #expect(second.status == 0, "\(second.errors)")
        let connection = try DatabaseConnection(server)
        #expect(
            try connection.query("SELECT count(*), count(DISTINCT value), max(value) FROM metrics.metric_points")
                == [["5000", "5000", "4999"]])
        #expect(collector.stop() == 0)
    }

    /// A collector that cannot ask its database confirms what it has on its disk. Two inputs under one number are two sessions.
    @Test func recordsAreStoredThoughTheDatabaseCannotBeAsked() throws {
        let server = try TestServers.ownServer(.plain)
        defer { server.stop() }
        let spill = URL(fileURLWithPath: try Programs.temporaryFolder("resume"))
        defer { try? FileManager.default.removeItem(at: spill) }
        let way = ["--database", TestServers.url(server.location), "--spill-directory", spill.path]
        func numbers(_ numbers: Range<Int>, to collector: CollectorProcess) throws -> Finished {
            try run(
                [
                    "send", "--to", "tcp://\(collector.address("tcp"))", "--file", "-", "--acknowledged", "--session",
                    "7",
                ],
                [lines(numbers)])
        }
        let first = try CollectorProcess(way)
        #expect(try numbers(0..<50, to: first).status == 0)
        #expect(first.stop() == 0)
        server.stop()
        let away = try CollectorProcess(way)
        #expect(try numbers(50..<100, to: away).status == 0)
        #expect(away.stop() == 0)
        try server.start()
        let last = try CollectorProcess(way)
        let connection = try DatabaseConnection(server.location)
        let deadline = ContinuousClock.now + .seconds(30)
        while try connection.query("SELECT count(DISTINCT value) FROM metrics.metric_points") != [["100"]] {
            guard ContinuousClock.now < deadline else {
                Issue.record("the records of the second input are not stored")
                break
            }
            usleep(50_000)
        }
        #expect(last.stop() == 0)
    }

    @Test func aFullDiskBehindTheLogIsReported() throws {
        let collector = try CollectorProcess(["--database", "discard"])
        let result = try send(1, to: collector, ["--acknowledgement-log", "/dev/full"])
        #expect(result.status == 74 && result.errors.contains("/dev/full"), "\(result.errors)")
        #expect(collector.stop() == 0)
    }

    @Test func resumingNeedsASessionAndAcknowledgements() throws {
        let arguments = ["send", "--to", "tcp://127.0.0.1:1", "--generate", "all", "--count", "1", "--resume"]
        #expect(try Programs.run(arguments).status == 64)
        #expect(try Programs.run(arguments + ["--acknowledged"]).status == 64)
        #expect(try Programs.run(arguments + ["--session", "7"]).status == 64)
        let alone = arguments.dropLast() + ["--session", "7"]
        #expect(try Programs.run(Array(alone)).status == 64)
        for option in ["--frame-bytes", "--records-per-frame"] {
            #expect(try Programs.run(alone + ["--acknowledged", option, "1000"]).status == 64)
        }
    }
}
