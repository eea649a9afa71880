// What many values become one by.

import MetricKinds

/// A function of many values. NULLs are left out, as in SQL.
public enum Aggregate: String, Sendable, CaseIterable {
    case count
    /// How many different values there are.
    case countDistinct = "count_distinct"
    case sum
    case avg
    case min
    case max
    /// Of the sample; absent for fewer than two values.
    case stddev
    /// Percentiles between neighbours, as `percentile_cont` has them.
    case p50
    case p90
    case p95
    case p99

    public static func named(_ name: String) throws(QueryError) -> Aggregate {
        // As it is said, and as other tools write it.
        let plain = name.replacing(" ", with: "_").replacing("-", with: "_")
        guard let aggregate = Aggregate(rawValue: plain) else { throw .unknownAggregate(name) }
        return aggregate
    }

    fileprivate var fraction: String? {
        switch self {
        case .p50: "0.5"
        case .p90: "0.9"
        case .p95: "0.95"
        case .p99: "0.99"
        case .count, .countDistinct, .sum, .avg, .min, .max, .stddev: nil
        }
    }
}

/// An aggregate of a field, one column of an answer.
public struct Measure: Equatable, Sendable {
    public let aggregate: Aggregate
    /// Nil counts records.
    public let field: QueryField?

    /// A boolean counts as 1 and 0: its average is the share of the true ones.
    ///
    /// - Throws: `.fieldMissing`, and `.noNumbers` for texts and JSON.
    public init(_ aggregate: Aggregate, of field: QueryField? = nil) throws(QueryError) {
        self.aggregate = aggregate
        self.field = field
        guard aggregate != .count else { return }
        guard let field else { throw .fieldMissing(aggregate: aggregate.rawValue) }
        if aggregate == .countDistinct { return }
        if field.type == nil || field.type == .text {
            throw .noNumbers(aggregate: aggregate.rawValue, field: field.name)
        }
    }

    /// For example `p95_routing_time_ms`; `count` counts records.
    public var name: String { field.map { "\(aggregate.rawValue)_\($0.name)" } ?? aggregate.rawValue }

    func sql(_ parameters: inout SQLParameters) -> String {
        guard let field else { return "count(*)" }
        if aggregate == .countDistinct { return "count(DISTINCT \(field.sql(&parameters)))" }
        let value = field.sql(&parameters) + (field.type == .bool ? "::integer" : "")
        if let fraction = aggregate.fraction {
            return "percentile_cont(\(fraction)) WITHIN GROUP (ORDER BY \(value)::double precision)"
        }
        switch aggregate {
        // PostgreSQL sums REAL in 24 bits.
        case .sum where isFloat: return "sum(\(value)::double precision)"
        case .stddev: return "stddev_samp(\(value)::double precision)"
        default: return "\(aggregate.rawValue)(\(value))"
        }
    }

    private var isFloat: Bool { field?.type == .float32 || field?.type == .float64 }

    /// Reads the aggregate's text; nil when it is none.
    func value(_ text: String) -> StoredValue? {
        switch aggregate {
        case .count, .countDistinct: StoredValue(text, as: .int64)
        // Of BIGINT the sum is NUMERIC and may leave 64 bits.
        case .sum where !isFloat: StoredValue(text, as: .int64) ?? StoredValue(text, as: .float64)
        case .min, .max: StoredValue(text, as: field?.type == .bool ? .int32 : field?.type)
        case .sum, .avg, .stddev, .p50, .p90, .p95, .p99: StoredValue(text, as: .float64)
        }
    }
}
