// `send --acknowledged --session` does not confirm records of a run for those of another one.

import Foundation
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
        let second = try send(2, to: collector)
        #expect(second.status == 65, "\(second.errors)")
        #expect(second.errors.contains("--resume"), "\(second.errors)")
        // The same run again, which the user says.
        let resumed = try send(1, to: collector, ["--resume"])
        #expect(resumed.status == 0, "\(resumed.errors)")
        #expect(resumed.text.contains(#""records_acknowledged":50"#), "\(resumed.text)")
        #expect(collector.stop() == 0)
    }

    @Test func resumingNeedsASessionAndAcknowledgements() throws {
        let arguments = ["send", "--to", "tcp://127.0.0.1:1", "--generate", "all", "--count", "1", "--resume"]
        #expect(try Programs.run(arguments).status == 64)
        #expect(try Programs.run(arguments + ["--acknowledged"]).status == 64)
        #expect(try Programs.run(arguments + ["--session", "7"]).status == 64)
    }
}
