// CRC32C of a frame: over header and payload, with the checksum's own place as zero.

import CChecksum

/// CRC32C (Castagnoli; check value of "123456789" is 0xE3069283).
public enum Checksum {
    /// Of `bytes`, or continued from the result of the bytes before. O(n).
    public static func crc32c(_ bytes: RawSpan, continuing crc: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { spillway_crc32c(crc, $0.baseAddress, $0.count) }
    }

    /// Of a whole frame, whose checksum field may hold anything.
    static func ofFrame(_ frame: UnsafeRawBufferPointer) -> UInt32 {
        precondition(frame.count >= FrameHeader.lengthMin)
        var zero: UInt32 = 0
        let place = FrameHeader.checksumOffset
        let crc = spillway_crc32c(spillway_crc32c(0, frame.baseAddress, place), &zero, 4)
        return spillway_crc32c(crc, frame.baseAddress?.advanced(by: place + 4), frame.count - place - 4)
    }
}
