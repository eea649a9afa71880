// What a kind's fields are: the vocabulary that the generated tables are written in.

/// The type of a field on the wire and of its column.
public enum ColumnType: String, Sendable, CaseIterable {
    case text
    case bool
    /// 32 bits, INTEGER.
    case int32 = "i32"
    /// 64 bits, BIGINT.
    case int64 = "i64"
    /// 32 bits, REAL.
    case float32 = "f32"
    /// 64 bits, DOUBLE PRECISION.
    case float64 = "f64"

    /// The type's name in PostgreSQL.
    public var sqlName: String {
        switch self {
        case .text: "TEXT"
        case .bool: "BOOLEAN"
        case .int32: "INTEGER"
        case .int64: "BIGINT"
        case .float32: "REAL"
        case .float64: "DOUBLE PRECISION"
        }
    }

    /// How many bits of the presence bitmap a field of the type takes: a bool carries its value there.
    public var presenceBits: Int { self == .bool ? 2 : 1 }
}

/// How a text is written in a frame.
public enum TextCoding: String, Sendable {
    /// As an index of the frame's dictionary: for values that come again.
    case dictionary
    /// As what differs from the same field of the record before: for identifiers that count up.
    case prefix
}

/// One field of a kind, which is one column of its table.
public struct MetricColumn: Sendable, Equatable {
    /// The field's name in JSON and the column's name in SQL.
    public let name: String
    public let type: ColumnType
    /// For texts only.
    public let coding: TextCoding?
    /// What a number counts, for people; nil for texts and for ratios.
    public let unit: String?
    /// The values known today. Others are stored as they come.
    public let knownValues: [String]
    /// What it says, without an end mark.
    public let about: String
    /// The kind's version that brought the field.
    public let since: UInt8
    /// The field's first bit in the presence bitmap.
    public let presenceBit: Int

    public init(
        name: String, type: ColumnType, coding: TextCoding?, unit: String?, knownValues: [String], about: String,
        since: UInt8, presenceBit: Int
    ) {
        self.name = name
        self.type = type
        self.coding = coding
        self.unit = unit
        self.knownValues = knownValues
        self.about = about
        self.since = since
        self.presenceBit = presenceBit
    }
}

extension MetricKind {
    /// The schema that holds the kinds' tables.
    public static let schemaName = "metrics"

    /// The kind of this name, for example `"routing"`. O(number of kinds).
    public init?(name: String) {
        guard let kind = MetricKind.allCases.first(where: { $0.name == name }) else { return nil }
        self = kind
    }

    /// The position of a field in `columns`, or nil. O(number of fields).
    public func columnIndex(named name: String) -> Int? {
        columns.firstIndex { $0.name == name }
    }
}
