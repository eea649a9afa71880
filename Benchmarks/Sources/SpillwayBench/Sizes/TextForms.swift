// Forms that are text, and rows of COPY.

import FrameCodec
import JSONLines
import MetricKinds
import StoreWriter

/// A form whose records have sizes of their own.
struct FixedSizes: SizeForm {
    let name: String
    /// Of each record.
    let sizes: [Int]
    /// Of the lines of each record, if they may go in different datagrams.
    let lines: [[Int]]?
    private var bytes = 0

    init(name: String, sizes: [Int]) {
        self.name = name
        self.sizes = sizes
        lines = nil
    }

    init(name: String, lines: [[Int]]) {
        self.name = name
        self.lines = lines
        sizes = lines.map { $0.reduce(0, +) }
    }

    mutating func reset() { bytes = 0 }

    mutating func add(_ record: AnyRecord, at index: Int) -> Int {
        bytes += sizes[index]
        return bytes
    }

    /// What the project's own printer makes of the records: a line each, with the names of the fields.
    static func jsonLines(_ records: [AnyRecord]) -> FixedSizes {
        var printer = RecordLinePrinter()
        var decoder = FrameDecoder()
        forEachFrame(of: records, .thousand) { frame, _ in
            expect("an encoded frame is printed") { () throws(FrameError) in
                try printer.print(frame, header: try FrameHeader.admit(frame), using: &decoder)
            }
        }
        let sizes = printer.withBytes { bytes in
            bytes.withUnsafeBytes { $0.split(separator: UInt8(ascii: "\n")).map { $0.count + 1 } }
        }
        precondition(sizes.count == records.count)
        return FixedSizes(name: "JSON lines", sizes: sizes)
    }

    /// A line for each number, since a line of DogStatsD has one value. The texts are tags of each line.
    /// `routing.routing_time_ms:7|ms|#query_id:query_00001234,...|T1767225600`, whole seconds only.
    static func dogStatsD(_ records: [AnyRecord], tagged: Set<String>?) -> FixedSizes {
        let lines = records.map { record in
            var tags = ""
            var numbers: [String] = []
            for (value, column) in zip(record.values, record.kind.columns) {
                let type = column.unit == "milliseconds" ? "ms" : "g"
                switch value {
                case .text(let text):
                    guard tagged?.contains(column.name) ?? true else { break }
                    tags += (tags.isEmpty ? "" : ",") + "\(column.name):\(text)"
                case .int32(let number): numbers.append("\(record.kind.name).\(column.name):\(number)|\(type)")
                case .float32(let number): numbers.append("\(record.kind.name).\(column.name):\(number)|\(type)")
                default: break
                }
            }
            let rest = "|#\(tags)|T\(record.time / 1_000_000)\n".utf8.count
            return numbers.map { $0.utf8.count + rest }
        }
        let which = tagged == nil ? "all texts as tags" : "without id and query text"
        return FixedSizes(name: "DogStatsD, \(which)", lines: lines)
    }
}

/// Rows as they go to PostgreSQL, from the collector's own writer.
func copyRowBytes(_ records: [AnyRecord]) -> Int {
    var frames: [UInt8] = []
    forEachFrame(of: records, .thousand) { frame, _ in frame.withUnsafeBytes { frames.append(contentsOf: $0) } }
    let batch = DecodedBatch()
    frames.withUnsafeBytes { batch.decode($0) }
    precondition(batch.recordCount == records.count)
    return batch.rows.byteCount
}

/// Encodes records and hands out each frame with its record count.
func forEachFrame(of records: [AnyRecord], _ shape: FrameShape, _ body: (RawSpan, Int) -> Void) {
    var encoder = shape.encoder()
    func finish() {
        let count = encoder.recordCount
        _ = encoder.finish(FrameIdentity(source: 1, session: 1)) { body($0, count) }
    }
    for record in records {
        while !expect("a record fits", { () throws(RecordError) in try encoder.append(record) }) { finish() }
    }
    finish()
}
