// Damaged frames with a right checksum: the decoder throws or decodes, never traps, and its work is bounded.

import FrameCodec
import MetricKinds
import Testing

@Suite struct CorruptionTests {
    /// Vectors that are small and together have everything.
    static let samples = GoodVector.all.filter {
        [
            "example", "tags", "metadata", "prefix", "prefix-inside-character", "prefix-two-fields", "bools",
            "all-kinds",
            "times", "texts", "later-version", "unknown-kind", "header-longer", "authenticated", "datagram-of-three",
            "heartbeat", "welcome", "acknowledgement", "refusal", "receipt", "compute-filled", "execution-filled",
        ].contains($0.testDescription)
    }

    /// Decodes what may be anything.
    private func survive(_ frame: [UInt8]) {
        var decoder = FrameDecoder()
        var visitor = CollectingVisitor()
        do throws(FrameError) {
            let header = try FrameHeader.admit(frame.span.bytes)
            guard header.type == .records else {
                _ = try decodeFrame(frame)
                return
            }
            defer {
                // A record takes three bytes at least and has at most 17 calls, a tag takes two bytes.
                #expect(visitor.calls <= 8 * header.payloadLength + 32)
                #expect(visitor.disorder.isEmpty)
            }
            try decoder.decode(frame.span.bytes, header: header, &visitor)
            #expect(visitor.textBytes <= FrameLimits.expansionFactorMax * header.payloadLength)
            let told = visitor.records.count + visitor.skipped.reduce(0) { $0 + $1.recordCount }
            #expect(told == header.recordCount)
        } catch {
            #expect((0...max(frame.count, 52)).contains(error.offset), "\(error)")
        }
    }

    @Test(arguments: samples)
    func `any byte replaced is refused or read`(vector: GoodVector) throws {
        let bytes = try #require(try vector.load()["bytes"]).bytes()
        for position in bytes.indices where !(12..<16).contains(position) {
            let byte = bytes[position]
            for value in [0, 1, 2, 0x7F, 0x80, 0xC3, 0xFF, byte ^ 1, byte ^ 0x80, byte &+ 1] where value != byte {
                var damaged = bytes
                damaged[position] = value
                repair(&damaged)
                survive(damaged)
                repair(&damaged, length: position < 52)
                survive(damaged)
            }
        }
    }

    @Test(arguments: samples)
    func `a frame cut anywhere is refused`(vector: GoodVector) throws {
        let all = try #require(try vector.load()["bytes"]).bytes()
        let bytes = Array(all.prefix(try FrameHeader.read(all.span.bytes).frameLength))
        for count in 0..<bytes.count {
            let cut = Array(bytes[..<count])
            let expected = FrameError(count < Int(bytes[5]) ? .truncatedHeader : .truncatedPayload, at: count)
            #expect(fault(of: cut) == expected)
            guard count >= Int(bytes[5]) else { continue }
            var repaired = cut
            repair(&repaired, length: true)
            survive(repaired)
            #expect(fault(of: repaired) != nil, "the payload ends at \(count) and is taken")
        }
    }

    @Test(arguments: samples)
    func `bytes added within the payload's length are refused`(vector: GoodVector) throws {
        let all = try #require(try vector.load()["bytes"]).bytes()
        let bytes = Array(all.prefix(try FrameHeader.read(all.span.bytes).frameLength))
        for added: [UInt8] in [[0], [1], [0xFF], [9, 1, 7, 1, 3, 2, 0, 0]] {
            var longer = bytes + added
            repair(&longer, length: true)
            survive(longer)
            #expect(fault(of: longer) != nil, "\(added)")
        }
    }
}
