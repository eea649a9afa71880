// Which rows a query is about: what records and aggregates have in common.

import MetricKinds
import Postgres
import StoreSchema

/// A kind's rows of a range of time that meet conditions.
public struct QueryScope: Equatable, Sendable {
    public let kind: MetricKind
    /// The first time, in microseconds since the Unix epoch; nil is open.
    public let from: Int64?
    /// The first time behind the range; nil is open.
    public let to: Int64?
    /// All of them hold.
    public let filters: [FieldFilter]

    /// - Throws: `.emptyRange`
    /// - Precondition: the filters are the kind's.
    public init(
        _ kind: MetricKind, from: Int64? = nil, to: Int64? = nil, filters: [FieldFilter] = []
    ) throws(QueryError) {
        precondition(filters.allSatisfy { $0.field.kind == kind }, "a condition of another kind")
        if let from, let to, from >= to { throw .emptyRange }
        self.kind = kind
        self.from = from
        self.to = to
        self.filters = filters
    }

    /// The table, named `r`, and the conditions.
    func sql(_ parameters: inout SQLParameters) -> String {
        var conditions: [String] = []
        if let from { conditions.append("r.time >= \(parameters.bind(SQLTime.text(from), as: "timestamptz"))") }
        if let to { conditions.append("r.time < \(parameters.bind(SQLTime.text(to), as: "timestamptz"))") }
        for filter in filters { conditions.append(filter.sql(&parameters)) }
        let filtered = conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")
        return "FROM \(SchemaSQL.table(kind)) r\(filtered)"
    }
}
