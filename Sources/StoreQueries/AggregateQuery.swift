// Numbers over buckets of time and groups, newest bucket first.
//
// Both flavours cut time at the same places: `time_bucket` and `date_bin` get the same width and the same origin, a
// Monday. Without a bucket there is one over everything.

import MetricKinds
import Postgres
import StoreSchema
import Text

/// A question for aggregates.
public struct AggregateQuery: Equatable, Sendable {
    public let scope: QueryScope
    /// The width of a bucket; nil is one over everything.
    public let bucket: FixedInterval?
    public let groupBy: [QueryField]
    public let measures: [Measure]
    /// The most rows of the answer, all of which are in memory at once.
    public let limit: Int
    /// Nil is newest bucket first, then by groups.
    public let order: QueryOrder?

    public static let limitAllowed = 1...100_000

    /// - Parameter order: by `bucket`, a group or a measure, by name.
    /// - Throws: `.badLimit`, `.noGroup`, `.repeated`, `.badOrder`
    public init(
        _ scope: QueryScope, bucket: FixedInterval? = nil, groupBy: [QueryField] = [], measures: [Measure],
        limit: Int = 10_000, order: QueryOrder? = nil
    ) throws(QueryError) {
        precondition(!measures.isEmpty, "aggregates without one")
        precondition((groupBy + measures.compactMap(\.field)).allSatisfy { $0.kind == scope.kind })
        guard Self.limitAllowed.contains(limit) else { throw .badLimit(limit, allowed: Self.limitAllowed) }
        for field in groupBy {
            switch field.source {
            case .tags, .metadata: throw .noGroup(field.name)
            case .column, .tag: break
            }
        }
        var names: Set<String> = []
        for name in groupBy.map(\.name) + measures.map(\.name) where !names.insert(name).inserted {
            throw .repeated(name)
        }
        if let order {
            let known = (bucket == nil ? [] : [Self.bucketName]) + groupBy.map(\.name) + measures.map(\.name)
            guard known.contains(order.name) else { throw .badOrder(order.name, known: known) }
        }
        self.order = order
        self.scope = scope
        self.bucket = bucket
        self.groupBy = groupBy
        self.measures = measures
        self.limit = limit
    }

    private static let bucketName = "bucket"

    /// - Parameter server: whose function for buckets is used.
    func sql(_ server: ServerIdentity, _ parameters: inout SQLParameters) -> String {
        var inner: [String] = []
        if let bucket { inner.append(Self.bucketSQL(bucket, server, &parameters) + " AS b") }
        for (index, field) in groupBy.enumerated() { inner.append(field.sql(&parameters) + " AS g\(index)") }
        let keys = (1...max(inner.count, 1)).map(String.init).joined(separator: ", ")
        let grouping = inner.isEmpty ? "" : " GROUP BY \(keys)"
        for (index, measure) in measures.enumerated() { inner.append(measure.sql(&parameters) + " AS m\(index)") }

        let groups = groupBy.indices.map { "a.g\($0)" }
        let outer =
            (bucket == nil ? [] : [SQLTime.microseconds("a.b")]) + groups + measures.indices.map { "a.m\($0)" }
        let order = orderSQL.map { [$0] } ?? []
        let usual = (bucket == nil ? [] : ["a.b DESC"]) + groups
        let ordering = order + usual.filter { !order.contains($0) }
        return """
            SELECT \(outer.joined(separator: ", "))
            FROM (SELECT \(inner.joined(separator: ", ")) \(scope.sql(&parameters))\(grouping)) a
            \(ordering.isEmpty ? "" : "ORDER BY \(ordering.joined(separator: ", "))")
            LIMIT \(parameters.bind("\(limit)", as: "bigint"))
            """
    }

    /// The column of `a` that the order names.
    private var orderSQL: String? {
        guard let order else { return nil }
        if bucket != nil, order.name == Self.bucketName { return order.sql("a.b") }
        if let index = groupBy.firstIndex(where: { $0.name == order.name }) { return order.sql("a.g\(index)") }
        return measures.firstIndex { $0.name == order.name }.map { order.sql("a.m\($0)") }
    }

    private static func bucketSQL(
        _ width: FixedInterval, _ server: ServerIdentity, _ parameters: inout SQLParameters
    ) -> String {
        let width = parameters.bind("\(width.seconds) seconds", as: "interval")
        let origin = "timestamptz '\(SQLTime.bucketOrigin)'"
        guard server.flavour.hasHypertables, let schema = server.timescaleSchema else {
            return "date_bin(\(width), r.time, \(origin))"
        }
        return "\(schema).time_bucket(\(width), r.time, \(origin))"
    }

    /// Reads a row of the statement.
    func row(_ texts: [String?]) -> AggregateRow? {
        var rest = texts[...]
        guard rest.count == (bucket == nil ? 0 : 1) + groupBy.count + measures.count else { return nil }
        var start: Int64?
        if bucket != nil {
            guard let time = rest.removeFirst().flatMap({ Int64($0) }) else { return nil }
            start = time
        }
        var groups: [StoredValue?] = []
        for field in groupBy {
            let text = rest.removeFirst()
            let value = text.flatMap { StoredValue($0, as: field.type) }
            if text != nil, value == nil { return nil }
            groups.append(value)
        }
        var values: [StoredValue?] = []
        for measure in measures {
            let text = rest.removeFirst()
            let value = text.flatMap { measure.value($0) }
            if text != nil, value == nil { return nil }
            values.append(value)
        }
        return AggregateRow(bucket: start, groups: groups, values: values)
    }
}

/// A row of the answer.
public struct AggregateRow: Equatable, Sendable {
    /// The bucket's first moment in microseconds since the Unix epoch; nil when the query has no buckets.
    public let bucket: Int64?
    /// In the order of the query's `groupBy`. Records without the field are a group of their own, nil.
    public let groups: [StoredValue?]
    /// In the order of the query's measures. All but counts are nil where no record has the field.
    public let values: [StoredValue?]
}
