// What is stored: records, or numbers over many of them.

import ArgumentParser
import JSONLines
import Postgres
import StoreQueries

/// `spillway query`
struct QueryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query",
        abstract: "Print stored records, or aggregates over them, newest first.",
        discussion: """
            Nothing is changed; a user that may only SELECT is enough. Percentiles lie between their neighbours, \
            computed from all values. Weeks begin on Monday, all buckets in UTC.

            A table leaves out columns without a value and cuts long cells; json prints a line a record, as decode \
            does, and csv a header and a line a record.

            EXAMPLES:
              spillway query routing --from -1h --where 'total_routing_time_ms>=30'
              spillway query routing --day today --order-by routing_time_ms:desc
              spillway query rag --bucket 1h --aggregate avg,p95 --field retrieval_time_ms
              spillway query execution --aggregate avg --field success --group-by language
              spillway query rag --aggregate count_distinct --field query_id
              spillway query memory --from -7d --format json | gzip > memory.jsonl.gz
              spillway query all --format json --to 2026-11-01 > everything.jsonl
            """)

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case table, json, csv
    }

    @OptionGroup var scope: ScopeArguments
    @OptionGroup var aggregates: AggregateArguments

    @Option(
        parsing: .unconditionalSingleValue,
        help: "What is aggregated, or what is printed of a record; several with commas.")
    var field: [String] = []

    @Option(help: "The most rows, of each kind. Without it a table has 100, and records as json or csv have no limit.")
    var limit: Int?

    @Option(help: "How the rows are printed.")
    var format = Format.table

    @OptionGroup var database: ReadingArguments

    private static let tableRowsDefault = 100
    /// A table is laid out in memory.
    private static let tableRowsMax = 10_000
    private static let aggregateRowsDefault = 10_000

    func run() throws {
        let scopes = try scope.scopes()
        guard let scope = scopes.first, scopes.count == 1 else { return try printAllKinds(scopes) }
        let fields = try queryFields(field, of: scope.kind, option: "--field")
        if let limit, format == .table, limit > Self.tableRowsMax {
            throw CommandError(
                .usage, "--limit \(limit): a table has at most \(Self.tableRowsMax) rows; use --format json or csv")
        }
        if aggregates.isGiven {
            let rowsDefault = format == .table ? Self.tableRowsDefault : Self.aggregateRowsDefault
            // One more tells whether something is left out.
            let query = try aggregates.query(scope, fields: fields, limit: limit ?? rowsDefault + 1)
            try printAggregates(query, rowsShown: limit ?? rowsDefault)
        } else {
            let wanted = limit ?? (format == .table ? Self.tableRowsDefault : nil)
            let query = try recordQuery(
                scope, fields: fields.isEmpty ? nil : fields,
                limit: wanted.map { format == .table && $0 > 0 ? $0 + 1 : $0 })
            if format == .json, let tag = fields.first(where: { if case .tag = $0.source { true } else { false } }) {
                throw CommandError(.usage, "--field \(tag.name): a JSON line has all tags or none: name tags")
            }
            try printRecords(query, in: try database.open(as: "spillway query"))
        }
    }

    // MARK: records

    private func recordQuery(
        _ scope: QueryScope, fields: [QueryField]?, limit: Int?
    ) throws(CommandError) -> RecordQuery {
        do throws(QueryError) {
            return try RecordQuery(scope, fields: fields, limit: limit, order: aggregates.order)
        } catch {
            let place = if case .badLimit = error { "--limit" } else { "--order-by" }
            throw CommandError(.usage, "\(place): \(error)")
        }
    }

    /// One kind after the other, in one session.
    private func printAllKinds(_ scopes: [QueryScope]) throws(CommandError) {
        guard format == .json, !aggregates.isGiven, field.isEmpty else {
            throw CommandError(
                .usage,
                "all kinds have different fields: print their records with --format json, without --field and aggregates"
            )
        }
        var queries: [RecordQuery] = []
        for scope in scopes {
            queries.append(try recordQuery(scope, fields: nil, limit: limit))
        }
        let session = try database.open(as: "spillway query")
        for query in queries { try printRecords(query, in: session) }
    }

    private func printRecords(_ query: RecordQuery, in queries: StoreQueries) throws(CommandError) {
        let names = ["time"] + query.fields.map(\.name)
        let pages = try reading { () throws(DatabaseError) in try queries.records(query) }
        var output = try ByteOutput(path: nil)
        switch format {
        case .json:
            var printer = RecordRowPrinter(query)
            try forEach(pages) { (row) throws(CommandError) in try printer.print([row], to: &output) }
        case .csv:
            try output.write(text: csvLine(names))
            try forEach(pages) { (row) throws(CommandError) in
                try output.write(text: csvLine([TimeText.text(row.time)] + row.values.map(\.?.text)))
            }
        case .table:
            var rows: [[StoredValue?]] = []
            try forEach(pages) { (row) throws(CommandError) in
                rows.append([StoredValue.text(TimeText.text(row.time))] + row.values.map { $0?.shortened })
            }
            try printTable(
                names, rows, rowsShown: limit ?? Self.tableRowsDefault, keepsEmptyColumns: !field.isEmpty, &output)
        }
        try output.flush()
    }

    private func forEach(
        _ pages: RecordPages, _ body: (RecordRow) throws(CommandError) -> Void
    ) throws(CommandError) {
        var failure: CommandError?
        try reading { () throws(DatabaseError) in
            try pages.forEach { row in
                do throws(CommandError) { try body(row) } catch { failure = error }
                return failure == nil
            }
        }
        if let failure { throw failure }
    }

    // MARK: aggregates

    private func printAggregates(_ query: AggregateQuery, rowsShown: Int) throws(CommandError) {
        let queries = try database.open(as: "spillway query")
        let answer = try reading { () throws(DatabaseError) in try queries.aggregates(query) }
        let names =
            (query.bucket == nil ? [] : ["bucket"]) + query.groupBy.map(\.name) + query.measures.map(\.name)
        let rows = answer.map { row in
            (row.bucket.map { [StoredValue.text(TimeText.text($0))] } ?? []) + row.groups + row.values
        }
        var output = try ByteOutput(path: nil)
        switch format {
        case .json:
            for row in rows.prefix(rowsShown) {
                var object = JSONObject()
                for (name, value) in zip(names, row) { object.add(name, raw: value?.json ?? "null") }
                try output.write(text: object.text + "\n")
            }
            warnOfMore(rows.count, rowsShown)
        case .csv:
            try output.write(text: csvLine(names))
            for row in rows.prefix(rowsShown) { try output.write(text: csvLine(row.map(\.?.text))) }
            warnOfMore(rows.count, rowsShown)
        case .table:
            try printTable(names, rows, rowsShown: rowsShown, keepsEmptyColumns: true, &output)
        }
        try output.flush()
    }

    // MARK: output

    private func printTable(
        _ names: [String], _ rows: [[StoredValue?]], rowsShown: Int, keepsEmptyColumns: Bool, _ output: inout ByteOutput
    ) throws(CommandError) {
        let shown = rows.prefix(rowsShown)
        guard !shown.isEmpty else { return try output.write(text: "no rows\n") }
        let columns = names.indices.filter { column in
            keepsEmptyColumns || shown.contains { $0[column] != nil }
        }
        let cells = shown.map { row in columns.map { tableCell(row[$0]?.text) } }
        let numbers = columns.indices.filter { index in
            shown.allSatisfy { $0[columns[index]]?.isNumber ?? true }
        }
        let table = textTable([columns.map { tableCell(names[$0]) }] + cells, rightAligned: Set(numbers))
        try output.write(text: table)
        warnOfMore(rows.count, rowsShown)
    }

    private func warnOfMore(_ found: Int, _ shown: Int) {
        if found > shown {
            report("only the first \(counted(shown, "row")) \(shown == 1 ? "is" : "are") shown: --limit N shows more")
        }
    }
}

extension StoredValue {
    private static let shownMax = 256

    /// Of a text no more than a table shows of it.
    fileprivate var shortened: StoredValue {
        switch self {
        case .text(let text): .text(String(text.prefix(Self.shownMax)))
        case .json(let text): .json(String(text.prefix(Self.shownMax)))
        case .bool, .integer, .float32, .float64: self
        }
    }
}
