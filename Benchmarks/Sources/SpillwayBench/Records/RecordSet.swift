// The records that everything here is measured with: those of the project's own generator, from a fixed seed, so that
// anybody gets the same bytes.
//
// Routing records are the protocol's reference case: unique ids such as query_00001234, texts of 30 characters out of
// 500, 20 domains, 10 intents, 2 models, 1 ms apart, all fields present, no tags, no metadata.

import FrameCodec
import JSONLines
import MetricKinds

/// Generated records of one kind, in memory.
struct RecordSet {
    static let seed: UInt64 = 1
    let kind: MetricKind
    let records: [AnyRecord]

    /// - Parameter extrasEvery: one record in so many has tags, and one in so many has metadata; 0 for none.
    init(_ kind: MetricKind, count: Int, extrasEvery: Int = 0) {
        self.kind = kind
        var generator = RecordGenerator(
            RecordGenerator.Options(kind: kind, seed: Self.seed, extrasEvery: extrasEvery))
        var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax, recordsMax: 1_000)
        var decoder = FrameDecoder()
        var collector = RecordCollector()
        func take(_ frame: RawSpan) {
            expect("a generated frame is valid") { () throws(FrameError) in
                try decoder.decode(frame, header: try FrameHeader.admit(frame), &collector)
            }
        }
        var made = 0
        while made < count {
            let fits = expect("a generated record fits") { () throws(RecordError) in
                try generator.append(to: &encoder)
            }
            if fits { made += 1 } else { _ = encoder.finish(FrameIdentity(), take) }
        }
        _ = encoder.finish(FrameIdentity(), take)
        records = collector.records
        precondition(records.count == count)
    }

    /// The same with accents in its texts, an é for each e, as texts are that are not English.
    var accented: [AnyRecord] {
        records.map { record in
            var record = record
            for (index, value) in record.values.enumerated() {
                guard case .text(let text)? = value else { continue }
                record.values[index] = .text(String(text.map { $0 == "e" ? "é" : $0 }))
            }
            return record
        }
    }
}

/// What must not fail in data that the benchmark makes itself.
@discardableResult
func expect<Value, Failure: Error>(_ what: String, _ body: () throws(Failure) -> Value) -> Value {
    do throws(Failure) {
        return try body()
    } catch {
        preconditionFailure("\(what): \(error)")
    }
}

/// Frames one behind the other, with where each begins.
struct FrameBlock {
    private(set) var bytes: [UInt8] = []
    /// One more than frames: the last is the end.
    private(set) var offsets: [UInt32] = [0]
    private(set) var records: [UInt16] = []

    var frameCount: Int { records.count }

    mutating func append(_ frame: RawSpan, recordCount: Int) {
        frame.withUnsafeBytes { bytes.append(contentsOf: $0) }
        offsets.append(UInt32(bytes.count))
        records.append(UInt16(recordCount))
    }

    /// Gives `body` the bytes, the offsets and the records of the frames.
    mutating func withBytes<Result>(
        _ body: (UnsafeMutableBufferPointer<UInt8>, UnsafeBufferPointer<UInt32>, UnsafeBufferPointer<UInt16>) -> Result
    ) -> Result {
        bytes.withUnsafeMutableBufferPointer { bytes in
            offsets.withUnsafeBufferPointer { offsets in
                records.withUnsafeBufferPointer { records in body(bytes, offsets, records) }
            }
        }
    }

    /// Gives a frame another identity.
    mutating func identify(_ frame: Int, _ identity: FrameIdentity) {
        let place = Int(offsets[frame])..<Int(offsets[frame + 1])
        bytes.withUnsafeMutableBytes {
            FrameStream.identify(UnsafeMutableRawBufferPointer(rebasing: $0[place]), identity)
        }
    }
}
