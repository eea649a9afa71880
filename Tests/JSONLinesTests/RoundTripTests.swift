import FrameCodec
import JSONLines
import MetricKinds
import Testing

/// Frames into lines and back are the same bytes.
@Suite struct RoundTripTests {
    /// Nine times as many over all kinds.
    private static let recordsPerKind = 100_000

    @Test("extreme records of every kind survive the way over lines", arguments: MetricKind.allCases)
    func extremesSurvive(kind: MetricKind) throws {
        let seed: UInt64 = 20_261_122
        print("kind \(kind.name), seed \(seed)")
        var records = ExtremeRecords(kind: kind, seed: seed)
        var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax, recordsMax: 1_000)
        var frames: [[UInt8]] = []
        for _ in 0..<Self.recordsPerKind {
            let record = records.next()
            while !(try encoder.append(record)) { finish(&encoder, &frames) }
        }
        finish(&encoder, &frames)
        let lines = try decode(frames)
        #expect(lines.count { $0 == UInt8(ascii: "\n") } == Self.recordsPerKind)
        #expect(try encode(lines) == frames)
    }

    @Test("generated records survive the way over lines", arguments: MetricKind.allCases)
    func generatedSurvive(kind: MetricKind) throws {
        let frames = try generate(RecordGenerator.Options(kind: kind, seed: 7), count: 2_000)
        #expect(try encode(try decode(frames)) == frames)
    }

    @Test("lines of all kinds in turn come back in the order of their kinds, and then stay")
    func mixedKindsSettle() throws {
        let lines = try decode(try generate(RecordGenerator.Options(), count: 4_500))
        #expect(try decode(try encode(lines)) == lines)
    }

    @Test("floats of every size read back to the same bits")
    func floatsAreExact() throws {
        let seed: UInt64 = 5
        print("seed \(seed)")
        var state = seed
        var given = ""
        var wanted = ""
        for _ in 0..<20_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            // Decimal texts of all lengths, read against the standard library.
            let digits = String(state >> 11).prefix(Int(state % 19) + 1)
            let text = "\(digits).\(state >> 40)e\(Int(state >> 33 & 63) - 50)"
            guard let float = Float(text), float.isFinite, let double = Double(text) else { continue }
            let time = "\"time\":\"1970-01-01T00:00:00.000000Z\""
            given += "{\"kind\":\"attention\",\(time),\"memory_usage_mb\":\(text)}\n"
            wanted += "{\"kind\":\"attention\",\(time),\"memory_usage_mb\":\(float)}\n"
            given += "{\"kind\":\"point\",\(time),\"value\":\(text)}\n"
            wanted += "{\"kind\":\"point\",\(time),\"value\":\(double)}\n"
        }
        // A frame for each record, so that the kinds keep their turns.
        let printed = String(decoding: try decode(try encode(given, recordsMax: 1)), as: UTF8.self)
        for (line, expected) in zip(printed.split(separator: "\n"), wanted.split(separator: "\n"))
        where line != expected {
            Issue.record("\(line) instead of \(expected)")
        }
        #expect(printed == wanted)
    }
}

/// Frames of generated records.
func generate(_ options: RecordGenerator.Options, count: Int) throws -> [[UInt8]] {
    var generator = RecordGenerator(options)
    var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax, recordsMax: 1_000)
    var frames: [[UInt8]] = []
    while generator.index < UInt64(count) {
        if !(try generator.append(to: &encoder)) { finish(&encoder, &frames) }
    }
    finish(&encoder, &frames)
    return frames
}
