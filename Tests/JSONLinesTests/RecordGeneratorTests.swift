import FrameCodec
import JSONLines
import MetricKinds
import Testing

@Suite struct RecordGeneratorTests {
    @Test(
        "a seed means the same records for ever",
        arguments: [
            (nil, 1, 2_389_096_549), (MetricKind.routing, 1, 725_495_826), (MetricKind.system, 42, 478_204_655),
        ] as [(MetricKind?, UInt64, UInt32)])
    func seedIsStable(kind: MetricKind?, seed: UInt64, checksum: UInt32) throws {
        let lines = try decode(try generate(RecordGenerator.Options(kind: kind, seed: seed), count: 900))
        #expect(Checksum.crc32c(lines.span.bytes) == checksum)
    }

    @Test("other seeds and other start times make other records")
    func optionsMatter() throws {
        let base = try generate(RecordGenerator.Options(kind: .rag), count: 10)
        #expect(try generate(RecordGenerator.Options(kind: .rag), count: 10) == base)
        #expect(try generate(RecordGenerator.Options(kind: .rag, seed: 2), count: 10) != base)
        #expect(try generate(RecordGenerator.Options(kind: .rag, startTime: 0), count: 10) != base)
    }

    @Test("how full frames become does not change the records")
    func frameSizeDoesNotMatter() throws {
        let large = try decode(try generate(RecordGenerator.Options(kind: .routing), count: 300))
        var generator = RecordGenerator(RecordGenerator.Options(kind: .routing))
        var encoder = FrameEncoder(frameBytesTarget: 500)
        var frames: [[UInt8]] = []
        while generator.index < 300 {
            if !(try generator.append(to: &encoder)) { finish(&encoder, &frames) }
        }
        finish(&encoder, &frames)
        #expect(frames.count > 30)
        #expect(try decode(frames) == large)
    }

    @Test("routing records are as small as the protocol promises")
    func routingRecordsAreSmall() throws {
        let frames = try generate(RecordGenerator.Options(kind: .routing), count: 10_000)
        #expect(frames.reduce(0) { $0 + $1.count } <= 60 * 10_000)
    }
}
