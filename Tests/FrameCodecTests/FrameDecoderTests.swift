// What a decoder does beyond what the vectors say: frames in a row, faults in between, what it leaves alone.

import FrameCodec
import MetricKinds
import Testing

@Suite struct FrameDecoderTests {
    private func frame(_ records: [AnyRecord]) throws -> [UInt8] { try #require(try encodeFrames(records).first) }

    private func routing(_ id: String, text: String? = nil) -> AnyRecord {
        var record = AnyRecord(kind: .routing, time: 1)
        record.values[0] = .text(id)
        record.values[1] = text.map { .text($0) }
        return record
    }

    @Test func `a decoder carries nothing from one frame into the next`() throws {
        let first = try frame([routing("query_1", text: "shared"), routing("query_2", text: "shared")])
        let second = try frame([routing("query_3", text: "other")])
        var decoder = FrameDecoder()
        for _ in 0..<3 {
            #expect(try decodeFrame(first, with: &decoder).visitor.records == decodeFrame(first).visitor.records)
            #expect(try decodeFrame(second, with: &decoder).visitor.records == decodeFrame(second).visitor.records)
        }
    }

    @Test func `a decoder reads on after a frame that it refused`() throws {
        let good = try frame([routing("query_1", text: "a"), routing("query_2", text: "b")])
        var decoder = FrameDecoder()
        for vector in RejectVector.all {
            do throws(FrameError) {
                _ = try decodeFrame(vector.bytes, with: &decoder)
                Issue.record("\(vector.testDescription) was accepted")
            } catch {
                #expect(error.offset == vector.offset)
            }
            #expect(try decodeFrame(good, with: &decoder).visitor.records.count == 2)
        }
    }

    @Test func `bytes behind the frame are not looked at`() throws {
        let good = try frame([routing("query_1")])
        #expect(try decodeFrame(good + [0xFF, 0xFF]).visitor.records == decodeFrame(good).visitor.records)
    }

    @Test func `prefixes are those of their own block and field`() throws {
        var execution = AnyRecord(kind: .execution, time: 2)
        execution.values[0] = .text("query_1")
        execution.values[10] = .text("query_1")
        let records = [routing("query_1"), routing("query_1"), execution, execution]
        #expect(try decodeFrame(frame(records)).visitor.records == records.map { CollectedRecord($0) })
    }

    @Test func `each call of a visitor comes in its order`() throws {
        var random = RandomRecords(seed: 7)
        let records = (0..<200).map { _ in random.record() }
        for bytes in try encodeFrames(records) {
            #expect(try decodeFrame(bytes).visitor.disorder.isEmpty)
        }
    }

    @Test func `a dictionary count that cannot be true is refused when its strings end`() {
        // 16,384 strings in a payload of four bytes.
        var bytes = [UInt8](repeating: 0, count: 52)
        bytes.replaceSubrange(0..<6, with: [0x53, 0x50, 0x57, 0x59, 1, 52])
        bytes[48] = 1
        bytes += [0x80, 0x80, 0x01, 0x00]
        repair(&bytes, length: true)
        #expect(fault(of: bytes) == FrameError(.truncated, at: 56))
    }

    @Test func `a refused frame says what is wrong and where`() {
        let error = fault(of: Array("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: some probe\r\n\r\n".utf8))
        #expect(error?.description == "bad_magic at byte 0: this is not a Spillway frame")
    }

    @Test func `every reason has a name and an explanation of its own`() {
        let reasons = FrameError.Reason.allCases
        #expect(reasons.map { Int($0.rawValue) } == Array(1...44))
        #expect(Set(reasons.map(\.name)).count == 44)
        #expect(Set(reasons.map(\.explanation)).count == 44)
    }
}
