// The checksum's published check value, and its ways of computing against each other.

import CChecksum
import FrameCodec
import Testing

@Suite struct ChecksumTests {
    @Test func `the check value is the published one`() {
        let digits = Array("123456789".utf8)
        #expect(Checksum.crc32c(digits.span.bytes) == 0xE306_9283)
        #expect(spillway_crc32c_tables(0, digits, digits.count) == 0xE306_9283)
    }

    /// RFC 3720, appendix B.4.
    @Test func `the examples of iSCSI hold`() {
        #expect(Checksum.crc32c([UInt8](repeating: 0, count: 32).span.bytes) == 0x8A91_36AA)
        #expect(Checksum.crc32c([UInt8](repeating: 0xFF, count: 32).span.bytes) == 0x62A8_AB43)
        #expect(Checksum.crc32c([UInt8](0..<32).span.bytes) == 0x46DD_794E)
    }

    @Test func `nothing has checksum zero`() {
        #expect(Checksum.crc32c([UInt8]().span.bytes) == 0)
    }

    @Test func `the processor's instruction and the tables agree at every length and alignment`() {
        let seed = UInt64.random(in: 0...0xFFFF_FFFF)
        var generator = SeededGenerator(seed: seed)
        let bytes = (0..<5_000).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        bytes.withUnsafeBytes { all in
            for start in 0..<9 {
                for length in Array(0...300) + [1_024, 4_096, 4_991] {
                    let part = UnsafeRawBufferPointer(rebasing: all[start..<start + length])
                    let fast = spillway_crc32c(0, part.baseAddress, part.count)
                    #expect(fast == spillway_crc32c_tables(0, part.baseAddress, part.count), "seed \(seed)")
                }
            }
        }
    }

    @Test func `a checksum continues from the one of the bytes before`() {
        let bytes = Array("the quick brown fox jumps over the lazy dog".utf8)
        let whole = Checksum.crc32c(bytes.span.bytes)
        for cut in 0...bytes.count {
            let first = Checksum.crc32c(Array(bytes[..<cut]).span.bytes)
            #expect(Checksum.crc32c(Array(bytes[cut...]).span.bytes, continuing: first) == whole)
        }
    }
}
