// What a decoder said about frames: as bytes, to compare bit for bit, and as records, to encode again.

import FrameCodec
import MetricKinds

/// Takes down every call of a decoder but those about blocks, whose number is the encoder's affair.
struct FrameTranscript: FrameVisitor {
    private(set) var bytes: [UInt8] = []
    private(set) var recordCount = 0
    private(set) var collector = RecordCollector()

    private mutating func put(_ call: UInt8, _ column: Int, _ value: UInt64) {
        bytes.append(call)
        bytes.append(UInt8(column))
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    private mutating func put(_ call: UInt8, _ column: Int, _ value: RawSpan) {
        put(call, column, UInt64(value.byteCount))
        value.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    mutating func beginBlock(_ kind: MetricKind, recordCount: Int) {
        collector.beginBlock(kind, recordCount: recordCount)
    }
    mutating func beginRecord(_ kind: MetricKind, time: Int64) {
        put(1, Int(kind.rawValue), UInt64(bitPattern: time))
        collector.beginRecord(kind, time: time)
    }
    mutating func absent(_ column: Int) {
        put(2, column, 0)
        collector.absent(column)
    }
    mutating func text(_ column: Int, _ value: RawSpan) {
        put(3, column, value)
        collector.text(column, value)
    }
    mutating func bool(_ column: Int, _ value: Bool) {
        put(4, column, value ? 1 : 0)
        collector.bool(column, value)
    }
    mutating func int32(_ column: Int, _ value: Int32) {
        put(5, column, UInt64(bitPattern: Int64(value)))
        collector.int32(column, value)
    }
    mutating func int64(_ column: Int, _ value: Int64) {
        put(6, column, UInt64(bitPattern: value))
        collector.int64(column, value)
    }
    mutating func float32(_ column: Int, _ value: Float) {
        put(7, column, UInt64(value.bitPattern))
        collector.float32(column, value)
    }
    mutating func float64(_ column: Int, _ value: Double) {
        put(8, column, value.bitPattern)
        collector.float64(column, value)
    }
    mutating func absentTags() {
        put(9, 0, 0)
        collector.absentTags()
    }
    mutating func beginTags(count: Int) {
        put(10, 0, UInt64(count))
        collector.beginTags(count: count)
    }
    mutating func tag(key: RawSpan, value: RawSpan) {
        put(11, 0, key)
        put(12, 0, value)
        collector.tag(key: key, value: value)
    }
    mutating func endTags() { collector.endTags() }
    mutating func absentMetadata() {
        put(13, 0, 0)
        collector.absentMetadata()
    }
    mutating func metadata(_ json: RawSpan) {
        put(14, 0, json)
        collector.metadata(json)
    }
    mutating func endRecord() {
        recordCount += 1
        collector.endRecord()
    }
    mutating func skippedBlock(kindID: UInt8, recordCount: Int) {
        collector.skippedBlock(kindID: kindID, recordCount: recordCount)
    }
}
