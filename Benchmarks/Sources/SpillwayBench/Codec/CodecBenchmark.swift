// What a record costs the program that sends it, and the collector that turns it into COPY rows; and how large it is.

import CAllocations
import FrameCodec
import Glibc
import MetricKinds
import StoreWriter

/// How records are put into frames.
struct FrameShape {
    let name: String
    let frameBytesTarget: Int
    let recordsMax: Int

    static let thousand = FrameShape(
        name: "frames of 1,000", frameBytesTarget: FrameLimits.frameBytesMax, recordsMax: 1_000)
    static let datagram = FrameShape(
        name: "1,400-byte datagrams", frameBytesTarget: FrameLimits.datagramBytesDefault,
        recordsMax: FrameLimits.recordsPerFrameMax)

    func encoder() -> FrameEncoder { FrameEncoder(frameBytesTarget: frameBytesTarget, recordsMax: recordsMax) }
}

struct CodecBenchmark {
    /// A batch of the collector.
    static let recordCount = 50_000
    /// Records that are encoded in turn. Few, so that they lie in the cache as a record does that was made just now:
    /// over a batch of typed records most of the time goes into fetching their strings from memory.
    static let encodedCount = 1_000
    let runs: Int
    let milliseconds: Int

    func run(into report: inout Report) {
        for shape in [FrameShape.thousand, .datagram] {
            measure(RoutingRecord.self, shape, &report)
            measure(RoutingRecord.self, shape, with: .extras, &report)
            measure(RoutingRecord.self, shape, with: .accents, &report)
            measure(MemoryRecord.self, shape, &report)
            measure(AttentionRecord.self, shape, &report)
            measure(ComputeRecord.self, shape, &report)
            measure(ExecutionRecord.self, shape, &report)
            measure(AgentEvolutionRecord.self, shape, &report)
            measure(RagRecord.self, shape, &report)
            measure(SystemRecord.self, shape, &report)
            measure(PointRecord.self, shape, &report)
        }
        progressEnd()
        for shape in [FrameShape.thousand, .datagram] {
            report.note(
                "codec, \(shape.name)",
                """
                Encode: typed record to finished frame with checksum, \(short(Double(Self.encodedCount))) records in turn. Admit: \
                checksum and header checks. Decode: every check of the protocol, out come COPY BINARY rows; batches \
                of \(short(Double(Self.recordCount))) records. Allocations are counted after two passes. One thread, its CPU time.
                """)
        }
    }

    /// What the records have beside their fields as the generator makes them.
    private enum Variant: String {
        case plain = ""
        case extras = ", 1 in 10 with tags, metadata"
        case accents = ", texts with accents"
    }

    /// Specialised for each kind, as it is in a program that sends records.
    @inline(never)
    private func measure<Record: MadeFromValues>(
        _ type: Record.Type, _ shape: FrameShape, with variant: Variant = .plain, _ report: inout Report
    ) {
        let row = Record.kind.name + variant.rawValue
        progress("codec: \(shape.name), \(row)")
        let generated = RecordSet(Record.kind, count: Self.recordCount, extrasEvery: variant == .extras ? 10 : 0)
        let all = variant == .accents ? generated.accented : generated.records
        let block = Self.encodedBlock(all, shape)
        let bytes = Double(block.bytes.count)
        let count = Double(all.count)

        var some = all.prefix(Self.encodedCount).map { Record(values: $0) }
        var encoder = shape.encoder()
        var encodedBytes = 0
        func encodePass() { Self.encode(&some, &encoder) { encodedBytes += $0.byteCount } }
        encodePass()
        let bytesPerPass = Double(encodedBytes)
        encodePass()
        let encodeAllocations = allocations(encodePass)
        let encodeSamples = (0..<runs).map { _ in
            nanosecondsPerPass(milliseconds: milliseconds, encodePass) / Double(some.count)
        }

        let batch = DecodedBatch()
        var admitSamples: [Double] = []
        var decodeSamples: [Double] = []
        var decodeAllocations: UInt64 = 0
        var rowBytes = 0.0
        block.bytes.withUnsafeBytes { frames in
            for _ in 0..<2 {
                batch.decode(frames)
                Self.admit(frames)
            }
            precondition(batch.recordCount == all.count && batch.refused.isEmpty)
            rowBytes = Double(batch.rows.byteCount)
            decodeAllocations = allocations {
                Self.admit(frames)
                batch.decode(frames)
            }
            for _ in 0..<runs {
                admitSamples.append(nanosecondsPerPass(milliseconds: milliseconds / 2) { Self.admit(frames) } / count)
                decodeSamples.append(nanosecondsPerPass(milliseconds: milliseconds) { batch.decode(frames) } / count)
            }
        }

        let group = "codec, \(shape.name)"
        let both = zip(admitSamples, decodeSamples).map { $0 + $1 }
        report.add(group, row, "encode", "ns/record", encodeSamples)
        report.add(group, row, "encode", "ns/byte", encodeSamples.map { $0 * Double(some.count) / bytesPerPass })
        report.add(group, row, "admit", "ns/record", admitSamples)
        report.add(group, row, "decode to COPY", "ns/record", decodeSamples)
        report.add(group, row, "decode to COPY", "ns/byte", decodeSamples.map { $0 * count / bytes })
        report.add(group, row, "admit + decode", "M records/s", both.map { 1_000 / $0 })
        report.add(group, row, "frame", "B/record", [bytes / count])
        report.add(group, row, "COPY row", "B/record", [rowBytes / count])
        report.add(group, row, "encode", "allocations/record", [Double(encodeAllocations) / Double(some.count)])
        report.add(group, row, "decode", "allocations/record", [Double(decodeAllocations) / count])
    }

    /// All records of a batch, as they would have come from a client.
    private static func encodedBlock(_ records: [AnyRecord], _ shape: FrameShape) -> FrameBlock {
        var block = FrameBlock()
        forEachFrame(of: records, shape) { frame, count in block.append(frame, recordCount: count) }
        return block
    }

    @inline(__always)
    private static func encode<Record: MetricRecord>(
        _ records: inout [Record], _ encoder: inout FrameEncoder, _ body: (RawSpan) -> Void
    ) {
        var index = 0
        while index < records.count {
            let fits: Bool
            do throws(RecordError) {
                fits = try append(&records[index], to: &encoder)
            } catch {
                preconditionFailure("a generated record fits: \(error)")
            }
            if fits { index += 1 } else { _ = encoder.finish(identity, body) }
        }
        _ = encoder.finish(identity, body)
    }

    /// Lends a record as a program does that has just made it: out of an array, which others may share, it would be copied
    /// for the call, and each of its strings retained and released.
    @inline(never)
    private static func append<Record: MetricRecord>(
        _ record: inout Record, to encoder: inout FrameEncoder
    ) throws(RecordError) -> Bool {
        try encoder.append(record)
    }

    private static let identity = FrameIdentity(source: 1, session: 1, sequence: 0)

    private static func admit(_ frames: UnsafeRawBufferPointer) {
        var offset = 0
        while offset < frames.count {
            let header = expect("an encoded frame is admitted") { () throws(FrameError) in
                try FrameHeader.admit(UnsafeRawBufferPointer(rebasing: frames[offset...]).bytes)
            }
            offset += header.frameLength
        }
    }
}

/// Allocations of the calling thread in `body`.
func allocations(_ body: () -> Void) -> UInt64 {
    let before = spillway_bench_thread_allocations()
    body()
    return spillway_bench_thread_allocations() - before
}
