// What a decoder told, bit for bit, and whether it told it in the order that `FrameVisitor` promises.

import FrameCodec
import MetricKinds

/// A field's value whose equality is that of its bits: -0.0 is not 0.0, NaN is itself, texts are bytes.
enum CollectedValue: Equatable, Sendable {
    case text([UInt8])
    case bool(Bool)
    case int32(Int32)
    case int64(Int64)
    case float32(UInt32)
    case float64(UInt64)
}

/// A record as it was told.
struct CollectedRecord: Equatable, Sendable {
    var kind: MetricKind
    var time: Int64
    var values: [CollectedValue?] = []
    /// Keys and values in turn.
    var tags: [[UInt8]]?
    var metadata: [UInt8]?
}

extension CollectedRecord: CustomStringConvertible {
    var description: String {
        let fields = zip(kind.columns, values).compactMap { column, value in value.map { "\(column.name)=\($0)" } }
        return "\(kind.name)@\(time) \(fields) tags=\(tags ?? []) metadata=\(metadata ?? [])"
    }
}

struct CollectingVisitor: FrameVisitor {
    private(set) var records: [CollectedRecord] = []
    private(set) var skipped: [(kindID: UInt8, recordCount: Int)] = []
    /// Calls that came out of order.
    private(set) var disorder: [String] = []
    private(set) var calls = 0
    /// Bytes of texts, tags and metadata.
    private(set) var textBytes = 0
    private var open: CollectedRecord?
    private var tagsLeft: Int?
    private var toldTags = false
    private var toldMetadata = false

    private mutating func expect(_ holds: Bool, _ call: String) {
        calls += 1
        if !holds { disorder.append(call) }
    }

    private mutating func bytes(_ span: RawSpan) -> [UInt8] {
        textBytes += span.byteCount
        return span.withUnsafeBytes { [UInt8]($0) }
    }

    private mutating func put(_ column: Int, _ value: CollectedValue?, _ types: ColumnType?) {
        expect(open?.values.count == column && !toldTags, "column \(column)")
        if let types, let open { expect(open.kind.columns[column].type == types, "type of column \(column)") }
        open?.values.append(value)
    }

    mutating func beginBlock(_ kind: MetricKind, recordCount: Int) {
        expect(open == nil && recordCount > 0 && recordCount <= FrameLimits.recordsPerFrameMax, "beginBlock")
    }
    mutating func beginRecord(_ kind: MetricKind, time: Int64) {
        expect(open == nil, "beginRecord")
        open = CollectedRecord(kind: kind, time: time)
        (toldTags, toldMetadata) = (false, false)
    }
    mutating func absent(_ column: Int) { put(column, nil, nil) }
    mutating func text(_ column: Int, _ value: RawSpan) { put(column, .text(bytes(value)), .text) }
    mutating func bool(_ column: Int, _ value: Bool) { put(column, .bool(value), .bool) }
    mutating func int32(_ column: Int, _ value: Int32) { put(column, .int32(value), .int32) }
    mutating func int64(_ column: Int, _ value: Int64) { put(column, .int64(value), .int64) }
    mutating func float32(_ column: Int, _ value: Float) { put(column, .float32(value.bitPattern), .float32) }
    mutating func float64(_ column: Int, _ value: Double) { put(column, .float64(value.bitPattern), .float64) }

    mutating func absentTags() {
        expect(open?.values.count == open?.kind.fieldCount && !toldTags, "absentTags")
        toldTags = true
    }
    mutating func beginTags(count: Int) {
        expect(open?.values.count == open?.kind.fieldCount && !toldTags, "beginTags")
        tagsLeft = count
        open?.tags = []
    }
    mutating func tag(key: RawSpan, value: RawSpan) {
        expect(tagsLeft ?? 0 > 0, "tag")
        tagsLeft? -= 1
        let pair = [bytes(key), bytes(value)]
        open?.tags?.append(contentsOf: pair)
    }
    mutating func endTags() {
        expect(tagsLeft == 0, "endTags")
        tagsLeft = nil
        toldTags = true
    }
    mutating func absentMetadata() {
        expect(toldTags && !toldMetadata, "absentMetadata")
        toldMetadata = true
    }
    mutating func metadata(_ json: RawSpan) {
        expect(toldTags && !toldMetadata, "metadata")
        toldMetadata = true
        let text = bytes(json)
        open?.metadata = text
    }
    mutating func endRecord() {
        expect(toldTags && toldMetadata, "endRecord")
        if let open { records.append(open) }
        open = nil
    }
    mutating func skippedBlock(kindID: UInt8, recordCount: Int) {
        expect(open == nil && MetricKind(rawValue: kindID) == nil, "skippedBlock")
        skipped.append((kindID, recordCount))
    }
}

// MARK: Between the forms of a record

extension CollectedRecord {
    init(_ record: AnyRecord) {
        self.init(kind: record.kind, time: record.time)
        values = record.values.map { value in
            switch value {
            case nil: nil
            case .text(let text): .text(Array(text.utf8))
            case .bool(let value): .bool(value)
            case .int32(let value): .int32(value)
            case .int64(let value): .int64(value)
            case .float32(let value): .float32(value.isNaN ? 0x7FC0_0000 : value.bitPattern)
            case .float64(let value): .float64(value.isNaN ? 0x7FF8_0000_0000_0000 : value.bitPattern)
            }
        }
        tags = record.tags.map { $0.pairs.flatMap { [Array($0.key.utf8), Array($0.value.utf8)] } }
        metadata = record.metadata.map { Array($0.json.utf8) }
    }

    /// The record for an encoder.
    func any() throws -> AnyRecord {
        func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        var record = AnyRecord(kind: kind, time: time)
        record.values = values.map { value in
            switch value {
            case nil: nil
            case .text(let text): .text(string(text))
            case .bool(let value): .bool(value)
            case .int32(let value): .int32(value)
            case .int64(let value): .int64(value)
            case .float32(let bits): .float32(Float(bitPattern: bits))
            case .float64(let bits): .float64(Double(bitPattern: bits))
            }
        }
        record.tags = tags.map { tags in
            Tags(
                stride(from: 0, to: tags.count, by: 2).map {
                    Tags.Pair(key: string(tags[$0]), value: string(tags[$0 + 1]))
                })
        }
        record.metadata = try metadata.map { try Metadata(json: string($0)) }
        return record
    }
}
