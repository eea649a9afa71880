// A frame of the simulation: what a collector knows of a frame, and what the oracle needs to tell it from any other.

import Delivery
import FrameCodec
import MetricKinds

struct SimulatedFrame: Hashable {
    /// Whose frame it says it is.
    let client: Int
    /// From 1, by client.
    let sequence: UInt64
    /// 0 for a frame over TCP; else the number of the datagram, which may have any client and sequence.
    var datagram: UInt64 = 0
    /// Its payload turns out to be no records when a lane decodes it.
    var isMalformed = false

    static let byteCount = 32

    /// Of its only record.
    var kind: MetricKind { sequence % 3 == 0 ? .routing : sequence % 7 == 0 ? .rag : .memory }

    var isDatagram: Bool { datagram > 0 }
    var key: SessionKey { Self.key(client) }
    var identity: FrameIdentity { FrameIdentity(source: key.source, session: key.session, sequence: sequence) }

    static func key(_ client: Int) -> SessionKey { SessionKey(source: UInt64(client) + 1, session: 7) }

    static func bytes(_ frames: [SimulatedFrame]) -> [UInt8] {
        var bytes: [UInt8] = []
        for frame in frames {
            for value in [UInt64(frame.client), frame.sequence, frame.datagram, frame.isMalformed ? 1 : 0] {
                withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
            }
        }
        return bytes
    }

    static func read(_ bytes: [UInt8]) -> [SimulatedFrame] {
        bytes.withUnsafeBytes { raw in
            stride(from: 0, to: raw.count, by: byteCount).map { offset in
                let values = (0..<4).map {
                    UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: offset + 8 * $0, as: UInt64.self))
                }
                return SimulatedFrame(
                    client: Int(values[0]), sequence: values[1], datagram: values[2], isMalformed: values[3] == 1)
            }
        }
    }
}
