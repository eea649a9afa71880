// What cannot be asked. Found before anything is sent to the server.

import MetricKinds

/// A query that makes no sense, with the part at fault and what would do instead.
public enum QueryError: Error, Equatable, Sendable {
    case unknownKind(String)
    case unknownField(String, kind: MetricKind)
    /// `time` is asked for by range and bucket.
    case timeIsNoField
    /// `tags.` without a key.
    case emptyTagKey
    case unknownAggregate(String)
    /// Not of the form FIELD=VALUE.
    case malformedFilter(String)
    /// The value cannot be one of the field's type.
    case badValue(String, field: String, expected: String)
    /// The field is compared in a way that it has not.
    case badComparison(field: String, reason: String)
    /// An aggregate of numbers on a field that has none.
    case noNumbers(aggregate: String, field: String)
    /// An aggregate that cannot be without a field.
    case fieldMissing(aggregate: String)
    /// The first time is not before the last.
    case emptyRange
    case badLimit(Int, allowed: ClosedRange<Int>)
    /// Something to group by that is no single value.
    case noGroup(String)
    /// Ordered by something that the answer does not have.
    case badOrder(String, known: [String])
    /// The same aggregate or group twice.
    case repeated(String)
}

extension QueryError: CustomStringConvertible {
    /// One line.
    public var description: String {
        switch self {
        case .unknownKind(let name):
            "unknown kind \"\(name)\": one of \(MetricKind.allCases.map(\.name).joined(separator: ", "))"
        case .unknownField(let name, let kind):
            "\(kind.name) has no field \"\(name)\": it has \(kind.columns.map(\.name).joined(separator: ", ")), "
                + "tags, tags.KEY, tags.\"KEY\", metadata"
        case .timeIsNoField: "time is not a field here: give the range with --from and --to, and --bucket"
        case .emptyTagKey: "\"tags.\" needs a key, as in tags.region; the empty one is tags.\"\""
        case .unknownAggregate(let name):
            "unknown aggregate \"\(name)\": one of \(Aggregate.allCases.map(\.rawValue).joined(separator: ", "))"
        case .malformedFilter(let text):
            "\"\(text)\" is not a condition: a condition is FIELD=VALUE, or with != < <= > >=, without spaces around the sign"
        case .badValue(let value, let field, let expected): "\(field): \"\(value)\" is not \(expected)"
        case .badComparison(let field, let reason): "\(field): \(reason)"
        case .noNumbers(let aggregate, let field): "\(aggregate) needs numbers, and \(field) has none: only count does"
        case .fieldMissing(let aggregate): "\(aggregate) needs a field"
        case .emptyRange: "the first time (--from) is not before the end of the range (--to)"
        case .badLimit(let limit, let allowed):
            "a limit of \(limit) rows: from \(allowed.lowerBound) to \(allowed.upperBound)"
        case .noGroup(let name): "\(name) is not a single value to group by: name a tag, as in tags.region"
        case .badOrder(let name, let known):
            "the answer has no \"\(name)\" to be ordered by: it has \(known.joined(separator: ", "))"
        case .repeated(let name): "\(name) is asked for twice"
        }
    }
}
