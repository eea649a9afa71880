// A frame of the simulation: real bytes that pass the real admission, ring, batches, spill and decoder, and what the oracle needs
// to know it by. Its place among all datagrams is its header's base time.

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

    /// Of its only record.
    var kind: MetricKind { sequence % 3 == 0 ? .routing : sequence % 7 == 0 ? .rag : .memory }

    var isDatagram: Bool { datagram > 0 }
    var key: SessionKey { Self.key(client) }
    var identity: FrameIdentity { FrameIdentity(source: key.source, session: key.session, sequence: sequence) }

    static func key(_ client: Int) -> SessionKey { SessionKey(source: UInt64(client) + 1, session: 7) }

    private static let firstTime: Int64 = 1_700_000_000_000_000
    /// No record begins with it.
    private static let malformedByte: UInt8 = 0x7F

    /// The frame with one record.
    var bytes: [UInt8] {
        var encoder = FrameEncoder(frameBytesTarget: 1_400)
        do throws(RecordError) {
            let isAppended = try encoder.append(
                AnyRecord(kind: kind, time: Self.firstTime + Int64(datagram)))
            precondition(isAppended)
        } catch {
            preconditionFailure("an empty record can be encoded: \(error)")
        }
        var bytes: [UInt8] = []
        _ = encoder.finish(identity) { (frame: RawSpan) in frame.withUnsafeBytes { bytes = Array($0) } }
        guard isMalformed else { return bytes }
        bytes[FrameHeader.lengthMin] = Self.malformedByte
        let checksum = FrameHeader.checksumOffset..<FrameHeader.checksumOffset + 4
        bytes.replaceSubrange(checksum, with: repeatElement(0, count: 4))
        withUnsafeBytes(of: Checksum.crc32c(bytes.span.bytes).littleEndian) {
            bytes.replaceSubrange(checksum, with: $0)
        }
        return bytes
    }

    /// The frames of a batch, in their places.
    static func read(_ bytes: UnsafeRawBufferPointer) -> [SimulatedFrame] {
        var frames: [SimulatedFrame] = []
        var offset = 0
        while offset < bytes.count {
            do throws(FrameError) {
                let header = try FrameHeader.read(UnsafeRawBufferPointer(rebasing: bytes[offset...]).bytes)
                frames.append(
                    SimulatedFrame(
                        client: Int(header.identity.source) - 1, sequence: header.identity.sequence,
                        datagram: UInt64(header.baseTime - firstTime),
                        isMalformed: bytes[offset + header.headerLength] == malformedByte))
                offset += header.frameLength
            } catch {
                preconditionFailure("a batch holds admitted frames: \(error)")
            }
        }
        return frames
    }
}
