// What `spillway query` asks for, out of its options.

import ArgumentParser
import JSONLines
import LinuxSystem
import MetricKinds
import StoreQueries
import Text

/// The rows that a query is about.
struct ScopeArguments: ParsableArguments {
    @Argument(
        help: """
            The kind: \(MetricKind.allCases.map(\.name).joined(separator: ", ")); 'all' with --format json prints the records of \
            all kinds, one kind after the other.
            """)
    var kind: String

    @Option(
        parsing: .unconditional,
        help: "The first time: \(TimeArgument.forms).")
    var from: String?

    @Option(parsing: .unconditional, help: "The end of the range, which is not part of it, in the same forms.")
    var to: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("One day in UTC: 2026-11-30, today or yesterday.", valueName: "date"))
    var day: String?

    @Option(
        name: .customLong("where"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Only these: = != < <= > >=, FIELD=null for absent ones, tags.KEY for a tag, tags.\"KEY\" for any. Several must all hold.",
            valueName: "field=value"))
    var conditions: [String] = []

    /// The word for all kinds.
    static let allKinds = "all"

    /// One for each kind that is asked for.
    func scopes() throws(CommandError) -> [QueryScope] {
        var scopes: [QueryScope] = []
        guard kind == Self.allKinds else {
            let name = kind
            let kind = try asking { () throws(QueryError) -> MetricKind in try MetricKind.named(name) }
            return [try scope(kind, now: wallClockMicroseconds())]
        }
        // The same range for all of them.
        let now = wallClockMicroseconds()
        for kind in MetricKind.allCases { scopes.append(try scope(kind, now: now)) }
        return scopes
    }

    private func scope(_ kind: MetricKind, now: Int64) throws(CommandError) -> QueryScope {
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
        if let day {
            guard from == nil, to == nil else {
                throw CommandError(.usage, "--day \(day): it is a range already: leave out --from and --to")
            }
            (from, to) = try TimeArgument.day(day, option: "--day", now: now)
        }
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

    @Option(
        help: ArgumentHelp(
            """
            The order of the rows: a field or time; with aggregates bucket, a field of --group-by or a column such as \
            p95_routing_time_ms. NAME:desc puts the largest first.
            """,
            valueName: "name[:desc]"))
    var orderBy: String?

    /// Nil is newest first.
    var order: QueryOrder? { orderBy.map { QueryOrder($0) } }

    var isGiven: Bool { bucket != nil || !aggregate.isEmpty || !groupBy.isEmpty }

    /// - Parameter fields: what is aggregated.
    func query(_ scope: QueryScope, fields: [QueryField], limit: Int) throws(CommandError) -> AggregateQuery {
        var width: FixedInterval?
        if let bucket {
            do throws(IntervalError) {
                width = try FixedInterval(bucket)
            } catch {
                throw CommandError(.usage, "--bucket: \(error)")
            }
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
        do throws(QueryError) {
            return try AggregateQuery(
                scope, bucket: width, groupBy: groups, measures: measures, limit: limit, order: order)
        } catch {
            let place =
                switch error {
                case .badLimit: "--limit"
                case .noGroup: "--group-by"
                case .badOrder: "--order-by"
                default: "--aggregate and --group-by"
                }
            throw CommandError(.usage, "\(place): \(error)")
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
