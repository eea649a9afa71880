// Lines of JSON as other systems write them, and times that are not what they seem.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(5))) struct ForeignTextTests {
    private static let lines = (1...3).map {
        #"{"kind":"routing","time":"2026-11-22T20:05:00.00000\#($0)Z","query_id":"q\#($0)"}"#
    }

    private func encode(_ bytes: Data, _ arguments: String...) throws -> Finished {
        let file = try Programs.temporaryFile("jsonl")
        try bytes.write(to: file)
        return try Programs.run(["encode", file.path] + arguments)
    }

    @Test(arguments: [("\n", ""), ("\r\n", ""), ("\r\n", "\u{FEFF}"), ("\n", "\u{FEFF}"), ("\r\n\r\n", "\u{FEFF}")])
    func theSameRecordsWhateverTheLineEnds(_ end: String, _ start: String) throws {
        let plain = try encode(Data((Self.lines.joined(separator: "\n") + "\n").utf8))
        let foreign = try encode(Data((start + Self.lines.joined(separator: end) + end).utf8))
        #expect(foreign.status == 0 && foreign.output == plain.output, "\(foreign.errors)")
        // Files that were joined have a mark in the middle.
        let joined = try encode(Data(Self.lines.map { start + $0 + end }.joined().utf8))
        #expect(joined.status == 0 && joined.output == plain.output, "\(joined.errors)")
    }

    @Test func theFirstLineHasNoLinesBeforeIt() throws {
        let first = try encode(Data("\u{FEFF}nonsense\r\n".utf8))
        #expect(
            first.status == 65 && first.errors.contains(":1:1: ") && first.errors.contains("nothing is written"),
            "\(first.errors)")
        #expect(!first.errors.contains("before it"))
        let second = try encode(Data((Self.lines[0] + "\r\nnonsense\r\n").utf8))
        #expect(
            second.errors.contains(":2:1: ") && second.errors.contains("what comes before it is written"),
            "\(second.errors)")
    }

    @Test func otherFormsAreNamed() throws {
        let utf16 = try #require(Self.lines[0].data(using: .utf16))
        let result = try encode(utf16)
        #expect(
            result.status == 65 && result.errors.contains("UTF-16") && result.errors.contains("iconv"),
            "\(result.errors)")
        #expect(try encode(Data([0x1F, 0x8B, 8, 0, 0, 0])).errors.contains("gzip -dc"))
    }

    @Test(
        arguments: [
            ("1795305600", "seconds? give microseconds"), ("1795305600123", "milliseconds? give microseconds"),
            ("1795305600123456789", "nanoseconds? give microseconds"), ("0", "give microseconds"),
            ("-1", "give microseconds"),
            ("4102444800000000", "give microseconds"),
        ])
    func anIntegerTimeOfAnotherUnitIsRefused(_ time: String, _ part: String) throws {
        let line = Data(#"{"kind":"routing","time":\#(time)}"#.utf8)
        let result = try encode(line)
        #expect(
            result.status == 65 && result.errors.contains(part) && result.errors.contains(":1:26:"), "\(result.errors)")
        let allowed = try encode(line, "--any-time")
        #expect(allowed.status == 0 && !allowed.output.isEmpty, "\(allowed.errors)")
    }

    @Test func microsecondsOfThisCenturyAndTimesAsTextAreTaken() throws {
        for time in ["946684800000000", "1795305600123456", "4102444799999999", #""1970-01-01T00:00:00Z""#] {
            let result = try encode(Data(#"{"kind":"routing","time":\#(time)}"#.utf8))
            #expect(result.status == 0, "\(time): \(result.errors)")
        }
    }

    @Test func closedStreamsLeaveTheFramesAsTheyAre() throws {
        let whole = try Programs.run(["encode", "--generate", "all", "--count", "50"]).output
        for closed in ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", "<&-"] {
            let file = try Programs.temporaryFile("frames")
            let command =
                "'\(Programs.spillway.path)' encode --generate all --count 50 --output '\(file.path)' --statistics \(closed)"
            let result = try Programs.run(["-c", command], program: URL(fileURLWithPath: "/bin/sh"))
            #expect(result.status == 0)
            #expect(try Data(contentsOf: file) == whole, "\(closed)")
        }
    }
}
