// Values as they come back from the server, which sends them as text.

import MetricKinds

/// A value of a field or of an aggregate. Absent ones are nil, `StoredValue?`.
public enum StoredValue: Equatable, Sendable {
    case text(String)
    case bool(Bool)
    case integer(Int64)
    case float32(Float)
    case float64(Double)
    /// Tags or metadata as JSONB prints them.
    case json(String)
}

extension StoredValue {
    /// Reads PostgreSQL's text form.
    ///
    /// - Parameter type: of the column; nil is JSONB.
    /// - Returns: nil when the text is none of the type.
    init?(_ text: String, as type: ColumnType?) {
        let value: StoredValue? =
            switch type {
            case nil: .json(text)
            case .text: .text(text)
            case .bool: text == "t" ? .bool(true) : text == "f" ? .bool(false) : nil
            case .int32, .int64: Int64(text).map { .integer($0) }
            case .float32: Float(text).map { .float32($0) }
            case .float64: Double(text).map { .float64($0) }
            }
        guard let value else { return nil }
        self = value
    }
}
