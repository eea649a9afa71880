// Frames without records: what their makers cut and what ranges hold.

import FrameCodec
import Testing

@Suite struct ControlFrameTests {
    private func heartbeat(_ name: String) -> HeartbeatFrame {
        HeartbeatFrame(framesSent: 1, recordsSent: 2, bytesSent: 3, recordsDropped: 4, name: name)
    }

    @Test func `a name is cut at a character's boundary to what a frame can carry`() throws {
        let long = heartbeat(String(repeating: "検", count: 100))
        #expect(long.name == String(repeating: "検", count: 85))
        let decoded = try decodeFrame(long.encoded(FrameIdentity())).control as? HeartbeatFrame
        #expect(decoded == long)
    }

    @Test func `a name loses U+0000, which no frame carries`() {
        #expect(heartbeat("a\0b").name == "ab")
        #expect(fault(of: heartbeat("\0").encoded(FrameIdentity())) == nil)
    }

    @Test func `a refusal is made of the error that it tells`() throws {
        let refusal = RefusalFrame(FrameError(.invalidUTF8, at: 57))
        #expect(refusal.reasonCode == 21)
        #expect(refusal.offset == 57)
        let identity = FrameIdentity(source: 1, session: 2, sequence: 3)
        let whole = try decodeFrame(refusal.encoded(identity))
        #expect(whole.header.identity == identity)
        #expect(whole.control as? RefusalFrame == refusal)
    }

    @Test func `ranges contain their sequences and no others`() {
        let ranges = SequenceRanges([1..<5, 7..<8, 100..<UInt64.max])
        for sequence: UInt64 in [1, 4, 7, 100, .max - 1] { #expect(ranges.contains(sequence), "\(sequence)") }
        for sequence: UInt64 in [0, 5, 6, 8, 99, .max] { #expect(!ranges.contains(sequence), "\(sequence)") }
        #expect(!SequenceRanges().contains(0))
    }

    @Test func `1,024 ranges travel`() throws {
        let ranges = SequenceRanges((0..<1_024).map { UInt64($0) * 3 + 1..<UInt64($0) * 3 + 3 })
        let frame = AcknowledgementFrame(durable: ranges).encoded(FrameIdentity())
        #expect(try decodeFrame(frame).control as? AcknowledgementFrame == AcknowledgementFrame(durable: ranges))
    }
}
