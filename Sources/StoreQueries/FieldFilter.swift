// Conditions on fields. A value is read here by the type of its field, so that a wrong one is refused with its reason
// before anything is sent; to the server it goes as a parameter.

import MetricKinds

/// One condition, for example `routing_time_ms>=100`. As in SQL, a comparison with a value never holds for an absent
/// field.
public struct FieldFilter: Equatable, Sendable {
    public enum Comparison: String, Sendable, CaseIterable {
        case equal = "="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
    }

    public let field: QueryField
    public let comparison: Comparison
    /// In a form that PostgreSQL takes for the field's type; nil asks whether the field is absent.
    public let value: String?

    /// - Parameter value: as a person writes it; nil asks for absence (`equal`) or presence (`notEqual`).
    /// - Throws: `.badValue`, `.badComparison`
    public init(_ field: QueryField, _ comparison: Comparison, _ value: String?) throws(QueryError) {
        self.field = field
        self.comparison = comparison
        guard let value else {
            guard comparison == .equal || comparison == .notEqual else {
                throw .badComparison(field: field.name, reason: "null goes with = and != only")
            }
            self.value = nil
            return
        }
        guard let type = field.type else {
            throw .badComparison(
                field: field.name, reason: "only compared with null; one tag is \(Self.tagExample)")
        }
        self.value = try Self.canonical(value, type, field: field.name)
    }

    private static let tagExample = "tags.KEY"

    /// Reads `FIELD=VALUE`. The word null as the value asks for absence.
    public init(_ text: String, of kind: MetricKind) throws(QueryError) {
        // Bytes and not characters: a sign with an accent on it is a sign as well.
        let bytes = text.utf8
        guard let start = QueryField.nameEnd(text[...], before: "=!<>"), start != bytes.startIndex else {
            throw .malformedFilter(text)
        }
        let rest = bytes[start...]
        // The longer sign first: `<=` begins with `<`.
        let signs = Comparison.allCases.sorted { $0.rawValue.count > $1.rawValue.count }
        guard let comparison = signs.first(where: { rest.starts(with: $0.rawValue.utf8) }) else {
            throw .malformedFilter(text)
        }
        let value = String(decoding: rest.dropFirst(comparison.rawValue.utf8.count), as: UTF8.self)
        let field = try QueryField(String(decoding: bytes[..<start], as: UTF8.self), of: kind)
        try self.init(field, comparison, value == "null" ? nil : value)
    }

    /// The condition in SQL.
    func sql(_ parameters: inout SQLParameters) -> String {
        let left = field.sql(&parameters)
        guard let value, let type = field.type else {
            return "\(left) IS \(comparison == .equal ? "" : "NOT ")NULL"
        }
        let sign = comparison == .notEqual ? "<>" : comparison.rawValue
        return "\(left) \(sign) \(parameters.bind(value, as: type.sqlName.lowercased()))"
    }

    // MARK: values

    private static func canonical(
        _ value: String, _ type: ColumnType, field: String
    ) throws(QueryError) -> String {
        let (read, expected): (String?, String) =
            switch type {
            case .text: (value.utf8.contains(0) ? nil : value, "a text without U+0000")
            case .bool: (value == "true" || value == "false" ? value : nil, "true or false")
            case .int32:
                (Int32(value).map(String.init), "an integer from \(Int32.min) to \(Int32.max)")
            case .int64:
                (Int64(value).map(String.init), "an integer from \(Int64.min) to \(Int64.max)")
            case .float32:
                (float(value, Float.init), "a number up to \(Float.greatestFiniteMagnitude), NaN or Infinity")
            case .float64:
                (float(value, Double.init), "a number up to \(Double.greatestFiniteMagnitude), NaN or Infinity")
            }
        guard let read else { throw .badValue(value, field: field, expected: expected) }
        return read
    }

    /// The shortest text of the nearest value, so that `complexity_score=0.8` finds the REAL that 0.8 became. Decimal
    /// notation only: Swift would take hexadecimal digits as well, and infinity for what is too large.
    private static func float<Value: BinaryFloatingPoint & CustomStringConvertible>(
        _ text: String, _ read: (String) -> Value?
    ) -> String? {
        switch text {
        case "NaN", "Infinity", "-Infinity": return text
        default: break
        }
        guard text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }), let value = read(text), value.isFinite
        else { return nil }
        return value.description
    }
}
