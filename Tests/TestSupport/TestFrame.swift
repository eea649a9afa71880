// Frames by hand: admission does not look into payloads, so any bytes do for one.

import FrameCodec

/// A record frame, or a frame of any type, with a sound checksum unless a field says otherwise.
package struct TestFrame {
    package var type: UInt8 = FrameType.records.rawValue
    package var flags: UInt8 = 0
    package var headerLength = 52
    package var source: UInt64 = 7
    package var session: UInt64 = 1
    package var sequence: UInt64 = 0
    package var baseTime: Int64 = 1_700_000_000_000_000
    package var recordCount: UInt32 = 1
    package var payload: [UInt8] = [1, 2, 3, 4]

    package init(
        type: UInt8 = FrameType.records.rawValue, flags: UInt8 = 0, headerLength: Int = 52, source: UInt64 = 7,
        session: UInt64 = 1, sequence: UInt64 = 0, baseTime: Int64 = 1_700_000_000_000_000, recordCount: UInt32 = 1,
        payload: [UInt8] = [1, 2, 3, 4]
    ) {
        self.type = type
        self.flags = flags
        self.headerLength = headerLength
        self.source = source
        self.session = session
        self.sequence = sequence
        self.baseTime = baseTime
        self.recordCount = recordCount
        self.payload = payload
    }

    package var bytes: [UInt8] {
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
