import FrameCodec
import MetricKinds
import Testing

@testable import StoreWriter

@Suite struct CompressionOrderTests {
    @Test func rowsOfASegmentStandTogetherAndTheNewestFirst() throws {
        var encoder = FrameEncoder()
        let models: [String?] = ["b", nil, "ab", "a", "b", "", "a", nil]
        for (index, model) in models.enumerated() {
            #expect(try encoder.append(RoutingRecord(time: Int64(index), queryID: "\(index)", modelSelected: model)))
        }
        let frame = try #require(encoder.finish(FrameIdentity()) { $0.withUnsafeBytes { Array($0) } })
        let decoded = DecodedBatch()
        frame.span.bytes.withUnsafeBytes { decoded.decode($0) }
        let (before, sorted) = decoded.rows.withRows(.routing) {
            (Array($0), CompressionOrder.sorted(.routing, $0, rowCount: models.count))
        }
        #expect(sorted.count == before.count)
        let times = sorted.withUnsafeBytes { bytes in
            CopyRows.rowOffsets(bytes).dropLast().map { CopyRowWriter.time(ofRowAt: $0, in: bytes) }
        }
        // b, absent, ab, a, empty; each from the newest to the oldest.
        #expect(times == [4, 0, 7, 1, 2, 6, 3, 5])
        let rows = { (bytes: [UInt8]) in
            bytes.withUnsafeBytes { raw in
                let offsets = CopyRows.rowOffsets(raw)
                return Set((0..<offsets.count - 1).map { Array(raw[offsets[$0]..<offsets[$0 + 1]]) })
            }
        }
        #expect(rows(sorted) == rows(before))
    }

    @Test func aThousandSegmentsAndAnyOrderOfTime() throws {
        var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        var random = SystemRandomNumberGenerator()
        var expected: [String: [Int64]] = [:]
        for _ in 0..<20_000 {
            let model = "model-\(UInt16.random(in: 0..<1_000, using: &random))"
            let time = Int64.random(in: 0..<1_000, using: &random)
            guard try encoder.append(RoutingRecord(time: time, queryID: "\(time)", modelSelected: model)) else { break }
            expected[model, default: []].append(time)
        }
        let frame = try #require(encoder.finish(FrameIdentity()) { $0.withUnsafeBytes { Array($0) } })
        let decoded = DecodedBatch()
        frame.span.bytes.withUnsafeBytes { decoded.decode($0) }
        let sorted = decoded.rows.withRows(.routing) {
            CompressionOrder.sorted(.routing, $0, rowCount: decoded.recordCount)
        }
        let field = try #require(MetricKind.routing.columnIndex(named: "model_selected")) + 1
        var rows: [(model: String, time: Int64)] = []
        sorted.withUnsafeBytes { bytes in
            CopyRows.forEachRow(bytes, field: field) { row, value in
                rows.append(
                    (
                        value.map { String(decoding: bytes[$0], as: UTF8.self) } ?? "",
                        CopyRowWriter.time(ofRowAt: row.lowerBound, in: bytes)
                    ))
            }
        }
        var begun: Set<String> = []
        for (index, row) in rows.enumerated() where index == 0 || rows[index - 1].model != row.model {
            #expect(begun.insert(row.model).inserted, "a segment in two pieces")
        }
        #expect(rows.count == decoded.recordCount && decoded.recordCount > 1_000)
        for (model, times) in expected {
            #expect(rows.filter { $0.model == model }.map(\.time) == times.sorted(by: >), "\(model)")
        }
    }
}
