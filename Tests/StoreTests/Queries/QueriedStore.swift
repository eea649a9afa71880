// A database with its schema, and short forms of what the tests of queries ask it.

import MetricKinds
import TestSupport
import Text

@testable import StoreSchema
@testable import StoreQueries
@testable import Postgres

/// Times of the tests count from here: a Sunday.
let sunday: Int64 = 1_795_305_600_000_000  // 2026-11-22T00:00:00Z

struct QueriedStore {
    let location: DatabaseLocation
    /// The owner, who writes.
    let owner: DatabaseConnection
    let queries: StoreQueries

    init(_ flavour: TestFlavour) throws {
        location = try TestServers.database(flavour)
        owner = try DatabaseConnection(location)
        _ = try SchemaManager(owner).apply(daysAhead: 0)
        queries = try StoreQueries(try DatabaseConnection(location))
    }

    /// Microseconds as a TIMESTAMPTZ literal.
    static func literal(_ microseconds: Int64) -> String { "'\(SQLTime.text(microseconds))'" }

    /// All pages of an answer.
    func records(_ query: RecordQuery) throws -> [RecordRow] {
        let pages = try queries.records(query)
        var all: [RecordRow] = []
        try pages.forEach {
            all.append($0)
            return true
        }
        return all
    }

    /// Records of a kind by conditions, all or some fields.
    func records(
        _ kind: MetricKind, from: Int64? = nil, to: Int64? = nil, where conditions: [String] = [],
        fields: [String]? = nil, limit: Int? = nil
    ) throws -> [RecordRow] {
        let filters = try conditions.map { try FieldFilter($0, of: kind) }
        let scope = try QueryScope(kind, from: from, to: to, filters: filters)
        let named = try fields?.map { try QueryField($0, of: kind) }
        return try records(RecordQuery(scope, fields: named, limit: limit))
    }

    /// Aggregates like `avg value`, of all that a scope has.
    func aggregates(
        _ scope: QueryScope, bucket: String? = nil, _ measures: [String], by groups: [String] = [], limit: Int = 10_000
    ) throws -> [AggregateRow] {
        let kind = scope.kind
        return try queries.aggregates(
            AggregateQuery(
                scope, bucket: try bucket.map { try FixedInterval($0) },
                groupBy: try groups.map { try QueryField($0, of: kind) },
                measures: try measures.map { text in
                    let words = text.split(separator: " ").map(String.init)
                    return try Measure(
                        Aggregate.named(words[0]), of: words.count > 1 ? QueryField(words[1], of: kind) : nil)
                }, limit: limit))
    }
}
