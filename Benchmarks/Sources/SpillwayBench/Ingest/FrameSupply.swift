// The datagrams of the ingest benchmark: real frames, encoded before anything is timed.

import CFloor
import FrameCodec
import JSONLines
import MetricKinds

/// Different frames in one block of memory, for the C sender to cycle through.
struct FrameSupply {
    private static let frameCountMax = 4_000
    /// More would come from memory at each sending, which is the sender's cost and not the receiver's.
    private static let bytesMax = 8 << 20
    private var block: FrameBlock
    /// Whether the frames are sent as `divide` has numbered them; else the sender numbers each as it goes.
    private var isNumbered = false

    /// Frames of routing records that fill datagrams of so many bytes.
    ///
    /// - Parameter frameCount: nil for as many as are good to cycle through.
    init(datagramBytes: Int, frameCount: Int? = nil) {
        let count = frameCount ?? min(Self.frameCountMax, Self.bytesMax / datagramBytes)
        var encoder = FrameEncoder(frameBytesTarget: datagramBytes, recordsMax: FrameLimits.recordsPerFrameMax)
        var generator = RecordGenerator(
            RecordGenerator.Options(kind: .routing, seed: RecordSet.seed, extrasEvery: 0))
        var block = FrameBlock()
        while block.frameCount < count {
            let fits = expect("a generated record fits") { () throws(RecordError) in
                try generator.append(to: &encoder)
            }
            guard !fits else { continue }
            let records = encoder.recordCount
            _ = encoder.finish(FrameIdentity(source: 1, session: 1)) { block.append($0, recordCount: records) }
        }
        self.block = block
    }

    /// Makes the frames those of so many sources in turn, each numbered from 1 in a new session.
    mutating func divide(among sources: Int) {
        isNumbered = true
        let session = UInt64.random(in: 1...UInt64.max)
        for frame in 0..<block.frameCount {
            block.identify(
                frame,
                FrameIdentity(
                    source: UInt64(frame % sources) + 1, session: session, sequence: UInt64(frame / sources) + 1))
        }
    }

    private static let number: @convention(c) (UnsafeMutablePointer<UInt8>?, Int, UInt64, UInt64, UInt64) -> Void = {
        frame, length, source, session, sequence in
        FrameStream.identify(
            UnsafeMutableRawBufferPointer(start: frame, count: length),
            FrameIdentity(source: source, session: session, sequence: sequence))
    }

    var frameCount: Int { block.frameCount }
    var bytesPerFrame: Double { Double(block.bytes.count) / Double(block.frameCount) }
    var recordsPerFrame: Double { Double(block.records.reduce(0) { $0 + Int($1) }) / Double(block.frameCount) }

    /// Sends on this thread, as a program would that has a client for each socket: each is a source of its own, whose frames
    /// are numbered in a new session. `rate` in datagrams per second; 0 is flat out.
    mutating func send(to port: UInt16, sockets: Int, rate: Double, seconds: Double) throws(IngestError) -> floor_sent {
        let session = UInt64.random(in: 1...UInt64.max)
        let isNumbered = isNumbered
        let sent = block.withBytes { bytes, offsets, records in
            var frames = floor_frames(
                bytes: bytes.baseAddress, offsets: offsets.baseAddress, records: records.baseAddress,
                count: UInt32(records.count), number: isNumbered ? nil : Self.number, session: session)
            return floor_send(port, UInt32(sockets), &frames, rate, seconds)
        }
        guard sent.error == 0 else { throw .sending(code: sent.error) }
        return sent
    }
}

/// Why the ingest rate could not be measured.
enum IngestError: Error, CustomStringConvertible {
    case sending(code: Int32)
    case sink(code: Int32)
    case collector(String)

    var description: String {
        switch self {
        case .sending(let code): "sending failed with errno \(code)"
        case .sink(let code): "the bare receiver did not start: errno \(code)"
        case .collector(let text): text
        }
    }
}
