// Record frames as they go over connections: numbered, so that they are acknowledged, and numbered anew for each trial, so
// that none is taken for a resent one.

import CFloor
import FrameCodec
import JSONLines
import MetricKinds

/// The frames of one or several connections, encoded before anything is timed.
struct FrameStream: Sendable {
    /// One connection behind the other.
    private(set) var bytes: [UInt8] = []
    /// The bytes of each connection.
    private(set) var parts: [Range<Int>] = []
    private(set) var frameCount = 0
    private(set) var recordCount = 0

    private static let sourceOffset = 16
    private static let sessionOffset = 24
    private static let sequenceOffset = 32
    private static let checksumOffset = 12

    /// Routing records of `RecordGenerator` with its usual seed.
    ///
    /// - Parameters:
    ///   - frameBytes: how large frames become; the last one of a batch may be smaller.
    ///   - batches: for each connection. A frame ends with a batch, so that the collector's batches are full ones, and
    ///     none waits for its time to be over.
    ///   - startTime: the first record's; the others follow 1 ms apart.
    init(
        frameBytes: Int, batches: Int, batchRecords: Int = 50_000, connections: Int = 1,
        startTime: Int64 = RecordGenerator.Options.fixedStartTime
    ) {
        var encoder = FrameEncoder(
            frameBytesTarget: frameBytes, recordsMax: FrameLimits.recordsPerFrameMax)
        var generator = RecordGenerator(
            RecordGenerator.Options(
                kind: .routing, seed: RecordSet.seed, startTime: startTime, extrasEvery: 0))
        for _ in 0..<connections {
            let start = bytes.count
            for _ in 0..<batches {
                var made = 0
                while made < batchRecords {
                    let fits = expect("a generated record fits") { () throws(RecordError) in
                        try generator.append(to: &encoder)
                    }
                    if fits { made += 1 } else { finish(&encoder) }
                }
                finish(&encoder)
                recordCount += batchRecords
            }
            parts.append(start..<bytes.count)
        }
        renumber()
    }

    private mutating func finish(_ encoder: inout FrameEncoder) {
        _ = encoder.finish(FrameIdentity()) { frame in frame.withUnsafeBytes { bytes.append(contentsOf: $0) } }
        frameCount += 1
    }

    var bytesPerFrame: Double { Double(bytes.count) / Double(frameCount) }
    var bytesPerRecord: Double { Double(bytes.count) / Double(recordCount) }

    /// New sessions, one for each connection, whose frames count from 1.
    mutating func renumber() {
        let parts = parts
        bytes.withUnsafeMutableBytes { bytes in
            for (index, part) in parts.enumerated() {
                let session = UInt64.random(in: 1...UInt64.max)
                var offset = part.lowerBound
                var sequence: UInt64 = 0
                while offset < part.upperBound {
                    sequence += 1
                    let length = Self.frameLength(UnsafeRawBufferPointer(bytes), at: offset)
                    let frame = UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + length])
                    Self.identify(
                        frame, FrameIdentity(source: UInt64(index) + 1, session: session, sequence: sequence))
                    offset += length
                }
            }
        }
    }

    /// Writes an identity into a finished frame, and its checksum.
    static func identify(_ frame: UnsafeMutableRawBufferPointer, _ identity: FrameIdentity) {
        frame.storeBytes(of: identity.source.littleEndian, toByteOffset: sourceOffset, as: UInt64.self)
        frame.storeBytes(of: identity.session.littleEndian, toByteOffset: sessionOffset, as: UInt64.self)
        frame.storeBytes(of: identity.sequence.littleEndian, toByteOffset: sequenceOffset, as: UInt64.self)
        frame.storeBytes(of: 0, toByteOffset: checksumOffset, as: UInt32.self)
        let checksum = Checksum.crc32c(UnsafeRawBufferPointer(frame).bytes)
        frame.storeBytes(of: checksum.littleEndian, toByteOffset: checksumOffset, as: UInt32.self)
    }

    private static func frameLength(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int {
        let payload = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt32.self))
        return Int(bytes[offset + 5]) + Int(payload)
    }

    /// Writes all of it, each part over a connection of its own, and waits until the other side has closed.
    func write(to port: UInt16, repeats: Int = 1) -> floor_streamed {
        bytes.withUnsafeBufferPointer { bytes in
            let streams = parts.map {
                floor_stream(bytes: bytes.baseAddress?.advanced(by: $0.lowerBound), count: $0.count)
            }
            return floor_stream_write(port, streams, UInt32(streams.count), UInt32(repeats))
        }
    }
}
