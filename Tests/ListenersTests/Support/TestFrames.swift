// Frames by hand: admission does not look into payloads, so any bytes do for one.

import FrameCodec

/// A record frame, or a frame of any type, with a sound checksum unless a field says otherwise.
struct TestFrame {
    var type: UInt8 = FrameType.records.rawValue
    var flags: UInt8 = 0
    var headerLength = 52
    var source: UInt64 = 7
    var session: UInt64 = 1
    var sequence: UInt64 = 0
    var baseTime: Int64 = 1_700_000_000_000_000
    var recordCount: UInt32 = 1
    var payload: [UInt8] = [1, 2, 3, 4]

    var bytes: [UInt8] {
        var frame: [UInt8] = [0x53, 0x50, 0x57, 0x59, 1, UInt8(headerLength), type, flags]
        append(UInt32(payload.count), to: &frame)
        append(UInt32(0), to: &frame)
        for number in [source, session, sequence, UInt64(bitPattern: baseTime)] { append(number, to: &frame) }
        append(recordCount, to: &frame)
        frame += [UInt8](repeating: 0, count: headerLength - 52)
        frame += payload
        let checksum = Checksum.crc32c(frame.span.bytes)
        for index in 0..<4 { frame[12 + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(index))) }
        return frame
    }

    private func append<Number: FixedWidthInteger>(_ number: Number, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }
}

/// The frames that a collector sent in reply.
///
/// - Parameter withWelcomes: else those are left out that greet a session.
func replies(
    in bytes: [UInt8], withWelcomes: Bool = false
) throws -> [(header: FrameHeader, frame: [UInt8])] {
    var list: [(FrameHeader, [UInt8])] = []
    var offset = 0
    while offset < bytes.count {
        let header = try FrameHeader.admit(bytes.span.bytes.extracting(offset..<bytes.count))
        if withWelcomes || header.type != .welcome {
            list.append((header, Array(bytes[offset..<offset + header.frameLength])))
        }
        offset += header.frameLength
    }
    return list
}

/// SplitMix64: the seed of a failure is in the test's source.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
