import FrameCodec
import MetricKinds
import Testing

@testable import TimescaleStore

@Suite struct CompressionOrderTests {
    @Test func rowsStandBySegmentAndTheNewestFirst() throws {
        var encoder = FrameEncoder()
        let models: [String?] = ["b", nil, "ab", "a", "b", "", "a", nil]
        for (index, model) in models.enumerated() {
            #expect(try encoder.append(RoutingRecord(time: Int64(index), queryID: "\(index)", modelSelected: model)))
        }
        let frame = try #require(encoder.finish(FrameIdentity()) { $0.withUnsafeBytes { Array($0) } })
        let decoded = DecodedBatch()
        frame.span.bytes.withUnsafeBytes { decoded.decode($0) }
        let (before, sorted) = decoded.rows.withRows(.routing) { (Array($0), CompressionOrder.sorted(.routing, $0)) }
        #expect(sorted.count == before.count)
        let times = sorted.withUnsafeBytes { bytes in
            RowIsolation.rowOffsets(bytes).dropLast().map { CopyRowWriter.time(ofRowAt: $0, in: bytes) }
        }
        // Absent and empty ones first, then a, ab, b; each from the newest to the oldest.
        #expect(times == [7, 5, 1, 6, 3, 2, 4, 0])
        let rows = { (bytes: [UInt8]) in
            bytes.withUnsafeBytes { raw in
                let offsets = RowIsolation.rowOffsets(raw)
                return Set((0..<offsets.count - 1).map { Array(raw[offsets[$0]..<offsets[$0 + 1]]) })
            }
        }
        #expect(rows(sorted) == rows(before))
    }
}
