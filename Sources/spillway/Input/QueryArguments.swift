// What `spillway query` asks for, out of its options.

import ArgumentParser
import JSONLines
import LinuxSystem
import MetricKinds
import TimescaleStore

/// The rows that a query is about.
struct ScopeArguments: ParsableArguments {
    @Argument(help: "The kind: \(MetricKind.allCases.map(\.name).joined(separator: ", ")).")
    var kind: String

    @Option(
        parsing: .unconditional,
        help: "The first time: 2026-11-22T20:05:00Z, 2026-11-22 (UTC), -24h, -7d or now.")
    var from: String?

    @Option(parsing: .unconditional, help: "The first time behind the range, in the same forms.")
    var to: String?

    @Option(
        name: .customLong("where"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Only these: = != < <= > >=, FIELD=null for absent ones, tags.KEY for a tag, tags.\"KEY\" for any. Several must all hold.",
            valueName: "field=value"))
    var conditions: [String] = []

    func scope() throws(CommandError) -> QueryScope {
        let name = self.kind
        let kind = try asking { () throws(QueryError) -> MetricKind in try MetricKind.named(name) }
        let now = wallClockMicroseconds()
        var filters: [FieldFilter] = []
        for condition in conditions {
            filters.append(
                try asking("--where \(condition)") { () throws(QueryError) in
                    try FieldFilter(condition, of: kind)
                })
        }
        var from: Int64?
        if let text = self.from { from = try TimeArgument.parse(text, option: "--from", now: now) }
        var to: Int64?
        if let text = self.to { to = try TimeArgument.parse(text, option: "--to", now: now) }
        return try asking("--from and --to") { () throws(QueryError) in
            try QueryScope(kind, from: from, to: to, filters: filters)
        }
    }
}

/// What is made of the rows. Without any of these, records are printed.
struct AggregateArguments: ParsableArguments {
    @Option(help: ArgumentHelp("One row for each such stretch of time, for example '15 minutes'.", valueName: "width"))
    var bucket: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: "Of \(Aggregate.allCases.map(\.rawValue).joined(separator: ", ")); several with commas.")
    var aggregate: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("One row for each value of a field, tags.KEY too; several with commas.", valueName: "field"))
    var groupBy: [String] = []

    var isGiven: Bool { bucket != nil || !aggregate.isEmpty || !groupBy.isEmpty }

    /// - Parameter fields: what is aggregated.
    func query(_ scope: QueryScope, fields: [QueryField], limit: Int) throws(CommandError) -> AggregateQuery {
        var width: FixedInterval?
        if let bucket {
            width = try asking("--bucket") { () throws(QueryError) in try FixedInterval(bucket) }
        }
        let groups = try queryFields(groupBy, of: scope.kind, option: "--group-by")
        let measures = try asking("--aggregate") { () throws(QueryError) in
            var measures: [Measure] = []
            for name in aggregate.isEmpty ? [Aggregate.count.rawValue] : listed(aggregate) {
                let aggregate = try Aggregate.named(name)
                if fields.isEmpty { measures.append(try Measure(aggregate)) }
                for field in fields { measures.append(try Measure(aggregate, of: field)) }
            }
            return measures
        }
        return try asking("--limit") { () throws(QueryError) in
            try AggregateQuery(scope, bucket: width, groupBy: groups, measures: measures, limit: limit)
        }
    }
}

/// The fields that an option names.
func queryFields(
    _ names: [String], of kind: MetricKind, option: String
) throws(CommandError) -> [QueryField] {
    try asking(option) { () throws(QueryError) in
        var fields: [QueryField] = []
        for name in listed(names) { fields.append(try QueryField(name, of: kind)) }
        return fields
    }
}

/// The names between commas.
private func listed(_ texts: [String]) -> [String] {
    texts.flatMap { QueryField.names($0) }
}

/// Calls `body`, whose errors are wrong usage.
///
/// - Parameter place: the option at fault.
func asking<Value>(
    _ place: String? = nil, _ body: () throws(QueryError) -> Value
) throws(CommandError) -> Value {
    do throws(QueryError) {
        return try body()
    } catch {
        throw CommandError(.usage, (place.map { "\($0): " } ?? "") + "\(error)")
    }
}
