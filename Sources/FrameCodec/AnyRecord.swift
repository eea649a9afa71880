// A record as a value, whatever its kind: for the places that look at few records. The hot paths never make one.

import MetricKinds

/// The value of a field.
public enum FieldValue: Equatable, Sendable {
    case text(String)
    case bool(Bool)
    case int32(Int32)
    case int64(Int64)
    case float32(Float)
    case float64(Double)

    /// Compares what is stored: bytes of texts and bits of numbers. Swift's own comparison takes canonically equivalent
    /// texts for equal, and 0 and -0, but no NaN.
    public static func == (left: FieldValue, right: FieldValue) -> Bool {
        switch (left, right) {
        case (.text(let a), .text(let b)): a.utf8.elementsEqual(b.utf8)
        case (.bool(let a), .bool(let b)): a == b
        case (.int32(let a), .int32(let b)): a == b
        case (.int64(let a), .int64(let b)): a == b
        case (.float32(let a), .float32(let b)): a.bitPattern == b.bitPattern
        case (.float64(let a), .float64(let b)): a.bitPattern == b.bitPattern
        default: false
        }
    }
}

/// A record of any kind. `values` has one place for each of the kind's fields, nil where the field is absent.
public struct AnyRecord: Equatable, Sendable {
    public var kind: MetricKind
    /// Microseconds since the Unix epoch, UTC.
    public var time: Int64
    public var values: [FieldValue?]
    public var tags: Tags?
    public var metadata: Metadata?

    public init(kind: MetricKind, time: Int64) {
        self.kind = kind
        self.time = time
        values = Array(repeating: nil, count: kind.fieldCount)
    }
}

extension FrameEncoder {
    /// Appends a record of any kind. Otherwise like the typed form.
    ///
    /// - Precondition: every value has the type of its field.
    public mutating func append(_ record: AnyRecord) throws(RecordError) -> Bool {
        try append(record.kind, time: record.time, tags: record.tags, metadata: record.metadata) {
            (writer) throws(RecordError) in
            var slot = 0
            for (column, value) in zip(record.kind.columns, record.values) {
                let bit = column.presenceBit
                switch (value, column.type) {
                case (nil, _): break
                case (.text(let text), .text):
                    if column.coding == .prefix {
                        try writer.prefixedText(text, bit: bit, slot: slot)
                    } else {
                        try writer.text(text, bit: bit)
                    }
                case (.bool(let value), .bool): writer.bool(value, bit: bit)
                case (.int32(let value), .int32): writer.int32(value, bit: bit)
                case (.int64(let value), .int64): writer.int64(value, bit: bit)
                case (.float32(let value), .float32): writer.float32(value, bit: bit)
                case (.float64(let value), .float64): writer.float64(value, bit: bit)
                default: preconditionFailure("\(record.kind.name).\(column.name) is \(column.type)")
                }
                if column.coding == .prefix { slot += 1 }
            }
        }
    }
}

/// Collects the records of frames as values.
public struct RecordCollector: FrameVisitor {
    public private(set) var records: [AnyRecord] = []
    /// Records of unknown kinds that were passed over.
    public private(set) var skipped = 0
    private var record = AnyRecord(kind: .routing, time: 0)
    private var pairs: [Tags.Pair] = []
    private let wants: (MetricKind, _ time: Int64) -> Bool

    /// - Parameter wants: is asked once for each record, in order; only those for which it says yes are kept.
    public init(where wants: @escaping (MetricKind, _ time: Int64) -> Bool = { _, _ in true }) { self.wants = wants }

    public mutating func removeAll() {
        records.removeAll(keepingCapacity: true)
        skipped = 0
    }

    private static func string(_ bytes: RawSpan) -> String {
        bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    public mutating func beginBlock(_ kind: MetricKind, recordCount: Int) {}
    public mutating func beginRecord(_ kind: MetricKind, time: Int64) { record = AnyRecord(kind: kind, time: time) }
    public mutating func absent(_ column: Int) {}
    public mutating func text(_ column: Int, _ value: RawSpan) { record.values[column] = .text(Self.string(value)) }
    public mutating func bool(_ column: Int, _ value: Bool) { record.values[column] = .bool(value) }
    public mutating func int32(_ column: Int, _ value: Int32) { record.values[column] = .int32(value) }
    public mutating func int64(_ column: Int, _ value: Int64) { record.values[column] = .int64(value) }
    public mutating func float32(_ column: Int, _ value: Float) { record.values[column] = .float32(value) }
    public mutating func float64(_ column: Int, _ value: Double) { record.values[column] = .float64(value) }
    public mutating func absentTags() {}
    public mutating func beginTags(count: Int) { pairs.removeAll(keepingCapacity: true) }
    public mutating func tag(key: RawSpan, value: RawSpan) {
        pairs.append(Tags.Pair(key: Self.string(key), value: Self.string(value)))
    }
    public mutating func endTags() { record.tags = Tags(pairs) }
    public mutating func absentMetadata() {}
    public mutating func metadata(_ json: RawSpan) { record.metadata = Metadata(checked: Self.string(json)) }
    public mutating func endRecord() { if wants(record.kind, record.time) { records.append(record) } }
    public mutating func skippedBlock(kindID: UInt8, recordCount: Int) { skipped += recordCount }
}
