// Cutting a stream by headers, and what admission adds to reading one.

import FrameCodec
import Testing

@Suite struct FrameHeaderTests {
    private func plain() throws -> [UInt8] {
        let encoder = TestEncoder()
        #expect(try encoder.append(point(5, "name")))
        return try encoder.frame(FrameIdentity(source: 1, session: 2, sequence: 3))
    }

    private func readFault(_ bytes: [UInt8]) -> FrameError? {
        do throws(FrameError) {
            _ = try FrameHeader.read(bytes.span.bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a header is read before its payload is there`() throws {
        let bytes = try plain()
        let header = try FrameHeader.read(Array(bytes[..<52]).span.bytes)
        #expect(header.frameLength == bytes.count)
        #expect(header.headerLength == 52)
        #expect(header.identity == FrameIdentity(source: 1, session: 2, sequence: 3))
        #expect(fault(of: bytes[..<52]) == FrameError(.truncatedPayload, at: 52))
        #expect(header == (try FrameHeader.admit(bytes.span.bytes)))
    }

    @Test func `a longer header is read from its first 52 bytes`() throws {
        let bytes = try #require(try GoodVector(testDescription: "header-longest").load()["bytes"]).bytes()
        let header = try FrameHeader.read(Array(bytes[..<52]).span.bytes)
        #expect(header.headerLength == 255)
        #expect(fault(of: bytes[..<254]) == FrameError(.truncatedHeader, at: 254))
        #expect(fault(of: bytes[..<255]) == FrameError(.truncatedPayload, at: 255))
    }

    @Test func `reading a header does not ask for checksum, time and counts`() throws {
        var bytes = try plain()
        bytes[12] ^= 1
        bytes.replaceSubrange(40..<52, with: [0, 0, 0, 0, 0, 0, 0, 0x80, 0xFF, 0xFF, 0xFF, 0xFF])
        #expect(readFault(bytes) == nil)
        #expect(fault(of: bytes) == FrameError(.checksumMismatch, at: 12))
    }

    @Test func `faults of the header come in their order`() throws {
        var bytes = try plain()
        bytes.replaceSubrange(0..<12, with: [UInt8](repeating: 0xFF, count: 12))
        bytes[5] = 10
        let plain = try plain()
        #expect(readFault(bytes) == FrameError(.badMagic, at: 0))
        bytes.replaceSubrange(0..<4, with: plain[0..<4])
        #expect(readFault(bytes) == FrameError(.unsupportedVersion, at: 4))
        bytes[4] = 1
        #expect(readFault(bytes) == FrameError(.unknownType, at: 6))
        bytes[6] = 0
        #expect(readFault(bytes) == FrameError(.unknownFlag, at: 7))
        bytes[7] = 0xF0
        #expect(readFault(bytes) == FrameError(.badHeaderLength, at: 5))
        bytes[5] = 52
        #expect(readFault(bytes) == FrameError(.frameTooLarge, at: 8))
        bytes.replaceSubrange(8..<12, with: plain[8..<12])
        #expect(readFault(bytes) == nil)
        #expect(fault(of: bytes) == FrameError(.checksumMismatch, at: 12))
    }

    @Test func `every bit of a frame is under the checksum`() throws {
        let bytes = try plain()
        for position in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[position] ^= 1 << UInt8(bit)
                #expect(fault(of: changed) != nil, "bit \(bit) of byte \(position)")
            }
        }
    }

    @Test func `a frame of 1 MiB is admitted and one byte more is not`() {
        var bytes = [UInt8](repeating: 0, count: FrameLimits.frameBytesMax)
        bytes.replaceSubrange(0..<6, with: [0x53, 0x50, 0x57, 0x59, 1, 52])
        bytes[48] = 1
        repair(&bytes, length: true)
        #expect(throws: Never.self) { try FrameHeader.admit(bytes.span.bytes) }
        bytes.append(0)
        repair(&bytes, length: true)
        #expect(fault(of: bytes) == FrameError(.frameTooLarge, at: 8))
    }

    @Test func `another identity leaves the rest of a frame as it was`() throws {
        var generator = SystemRandomNumberGenerator()
        let original = try plain()
        for _ in 0..<100 {
            let identity = FrameIdentity(
                source: generator.next(), session: generator.next(), sequence: generator.next())
            var bytes = original
            bytes.withUnsafeMutableBytes { FrameHeader.replaceIdentity(identity, in: $0) }
            let whole = try decodeFrame(bytes)
            #expect(whole.header.identity == identity)
            #expect(bytes[..<12] == original[..<12] && bytes[40...] == original[40...])
            // The way back gives the same bytes, checksum included.
            let own = FrameIdentity(source: 1, session: 2, sequence: 3)
            bytes.withUnsafeMutableBytes { FrameHeader.replaceIdentity(own, in: $0) }
            #expect(bytes == original)
        }
    }

    @Test func `a frame that was damaged before is sound afterwards, which is why it is checked first`() throws {
        var bytes = try plain()
        bytes[12] ^= 1
        #expect(fault(of: bytes) == FrameError(.checksumMismatch, at: 12))
        let identity = FrameIdentity(source: 1, session: 2, sequence: 4)
        bytes.withUnsafeMutableBytes { FrameHeader.replaceIdentity(identity, in: $0) }
        #expect(fault(of: bytes) == nil)
    }
}
