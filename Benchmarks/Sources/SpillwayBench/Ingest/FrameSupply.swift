// The datagrams of the ingest benchmark: real frames, encoded before anything is timed.

import CFloor
import FrameCodec
import MetricKinds

/// Different frames in one block of memory, for the C sender to cycle through.
struct FrameSupply {
    static let frameCount = 4_000
    private let block: FrameBlock

    /// Frames of routing records that fill 1,400-byte datagrams.
    init() {
        // No more than 40 records can fit: each takes 35 bytes at least.
        let records = RecordSet(.routing, count: Self.frameCount * 40).records
        var block = FrameBlock()
        // Sequence 0 is uncounted, so that frames that come again are not taken for resent ones.
        forEachFrame(of: records, .datagram) { frame, count in
            if block.frameCount < Self.frameCount { block.append(frame, recordCount: count) }
        }
        precondition(block.frameCount == Self.frameCount)
        self.block = block
    }

    var bytesPerFrame: Double { Double(block.bytes.count) / Double(block.frameCount) }
    var recordsPerFrame: Double { Double(block.records.reduce(0) { $0 + Int($1) }) / Double(block.frameCount) }

    /// Sends on this thread. `rate` in datagrams per second; 0 is flat out.
    func send(to port: UInt16, sockets: Int, rate: Double, seconds: Double) throws(IngestError) -> floor_sent {
        let sent = block.bytes.withUnsafeBufferPointer { bytes in
            block.offsets.withUnsafeBufferPointer { offsets in
                block.records.withUnsafeBufferPointer { records in
                    var frames = floor_frames(
                        bytes: bytes.baseAddress, offsets: offsets.baseAddress, records: records.baseAddress,
                        count: UInt32(block.frameCount))
                    return floor_send(port, UInt32(sockets), &frames, rate, seconds)
                }
            }
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
