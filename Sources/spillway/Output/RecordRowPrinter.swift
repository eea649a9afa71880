import JSONLines
import MetricKinds
import StoreQueries

/// Prints records of the database as the lines that `decode` prints and `encode` reads.
struct RecordRowPrinter: ~Copyable {
    private var printer = RecordLinePrinter()
    private let kind: MetricKind
    /// Where the values of a row stand, in the kind's order.
    private let order: [(position: Int, source: QueryField.Source)]

    /// - Parameter query: single tags have no place in a line and are left out.
    init(_ query: RecordQuery) {
        kind = query.scope.kind
        let all = QueryField.all(of: kind)
        order = all.compactMap { field in
            query.fields.firstIndex(of: field).map { ($0, field.source) }
        }
        printer.beginBlock(kind, recordCount: 0)
    }

    mutating func print(_ rows: [RecordRow], to output: inout ByteOutput) throws(CommandError) {
        for row in rows { print(row) }
        try printer.withBytes { (lines) throws(CommandError) in try output.write(lines) }
        printer.removeAll()
    }

    private mutating func print(_ row: RecordRow) {
        printer.beginRecord(kind, time: row.time)
        for (position, source) in order {
            guard let value = row.values[position] else { continue }
            switch (source, value) {
            case (.column(let index), .text(let text)): printer.text(index, text.utf8Span.span.bytes)
            case (.column(let index), .bool(let value)): printer.bool(index, value)
            case (.column(let index), .integer(let value)): printer.int64(index, value)
            case (.column(let index), .float32(let value)): printer.float32(index, value)
            case (.column(let index), .float64(let value)): printer.float64(index, value)
            case (.tags, .json(let text)): printer.tags(json: compactJSON(text).utf8Span.span.bytes)
            case (.metadata, .json(let text)): printer.metadata(compactJSON(text).utf8Span.span.bytes)
            case (.column, .json), (.tags, _), (.metadata, _), (.tag, _):
                preconditionFailure("a value that is not of its field's type")
            }
        }
        printer.endRecord()
    }
}
