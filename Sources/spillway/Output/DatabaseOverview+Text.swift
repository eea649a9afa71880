// The state of a database for people and for scripts.

import JSONLines
import Postgres
import StoreQueries
import StoreSchema
import Text

extension DatabaseOverview {
    /// Tables one under the other.
    func text(location: DatabaseLocation) -> String {
        var out = "server    \(server)\ndatabase  \(location)\n"
        out +=
            "schema    version \(schemaVersion.map(String.init) ?? "not known"), \(SchemaSQL.version) is this program's\n\n"
        out += textTable([Self.header + compressionHeader] + rows + [totals], rightAligned: Set(2...10))
        if let jobs { out += "\n" + Self.text(jobs) }
        if (kinds + collector).contains(where: { !$0.rowsAreExact && $0.layout != .missing }) {
            out += "\n~ by the server's statistics; --exact counts\n"
        }
        if !hidden.isEmpty { out += "\nNot shown\n" + hidden.map { "  \($0)\n" }.joined() }
        return out
    }

    private static let header = [
        "TABLE", "STORED AS", "ROWS", "EARLIEST", "LATEST", "TOTAL", "INDEX", "TOAST", "PARTS",
    ]

    private var hasCompression: Bool { kinds.contains { $0.compression != nil } }
    private var compressionHeader: [String] { hasCompression ? ["COMPRESSED", "RATIO"] : [] }

    private var rows: [[String]] {
        (kinds + collector).map { table in
            guard table.layout != .missing else {
                return [table.name, "missing"]
                    + [String](repeating: "-", count: Self.header.count - 2 + compressionHeader.count)
            }
            var cells = [
                tableCell(table.name), collector.contains(table) ? "table" : table.layout.rawValue,
                (table.rowsAreExact ? "" : "~") + grouped(UInt64(max(table.rows, 0))),
                table.earliest.map(Self.seconds) ?? "-", table.latest.map(Self.seconds) ?? "-",
                Self.bytes(table.size.total), Self.bytes(table.size.index), Self.bytes(table.size.toast),
                table.parts.map(String.init) ?? "-",
            ]
            if hasCompression {
                cells.append(table.compression.map { "\($0.chunks)" } ?? "-")
                cells.append(table.compression?.ratio.map { decimal($0, 1) } ?? "-")
            }
            return cells
        }
    }

    private var totals: [String] {
        let all = kinds + collector
        let isExact = all.allSatisfy { $0.rowsAreExact || $0.layout == .missing }
        var cells = [
            "all", "", (isExact ? "" : "~") + grouped(UInt64(all.reduce(0) { $0 + max($1.rows, 0) })),
            kinds.compactMap(\.earliest).min().map(Self.seconds) ?? "-",
            kinds.compactMap(\.latest).max().map(Self.seconds) ?? "-",
            Self.bytes(all.reduce(0) { $0 + $1.size.total }), Self.bytes(all.reduce(0) { $0 + $1.size.index }),
            Self.bytes(all.reduce(0) { $0 + $1.size.toast }), "\(all.reduce(0) { $0 + ($1.parts ?? 0) })",
        ]
        if hasCompression { cells += ["\(all.reduce(0) { $0 + ($1.compression?.chunks ?? 0) })", "-"] }
        return cells
    }

    private static func text(_ jobs: [Job]) -> String {
        let header = ["JOB", "NAME", "TABLE", "EVERY", "LAST RUN", "RESULT", "NEXT START", "FAILURES"]
        let rows = jobs.map { job in
            [
                "\(job.id)", tableCell(job.name), tableCell(job.table),
                job.intervalSeconds.map { "\(grouped(UInt64(max($0, 0)))) s" } ?? "-",
                job.lastStart.map(seconds) ?? "-", job.lastStatus ?? "-",
                job.isScheduled ? job.nextStart.map(seconds) ?? "-" : "paused", "\(job.failures)",
            ]
        }
        return textTable([header] + rows, rightAligned: [0, 3, 7])
    }

    /// A time without its decimals.
    private static func seconds(_ time: Int64) -> String {
        TimeText.text(time).prefix { $0 != "." } + "Z"
    }

    private static func bytes(_ count: Int64) -> String {
        var value = Double(max(count, 0))
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1_024 { return unit == "B" ? "\(count) B" : "\(decimal(value, 1)) \(unit)" }
            value /= 1_024
        }
        return "\(decimal(value, 1)) TiB"
    }

    /// One JSON object. What is not known, and what there is not, is null.
    var json: String {
        var object = JSONObject()
        object.add("server", "\(server)")
        object.add("flavour", server.flavour.rawValue)
        object.add("schema_version", schemaVersion.map { Int64($0) })
        object.add("tables", kinds.map(Self.json))
        object.add("collector_tables", collector.map(Self.json))
        object.add("jobs", raw: jobs.map { "[\($0.map(Self.json).map(\.text).joined(separator: ","))]" } ?? "null")
        object.add("hidden", hidden)
        return object.text + "\n"
    }

    private static func json(_ table: Table) -> JSONObject {
        var object = JSONObject()
        object.add("name", table.name)
        object.add("layout", table.layout.rawValue)
        object.add("rows", table.rows)
        object.add("rows_are_exact", table.rowsAreExact)
        object.add("earliest", table.earliest.map(TimeText.text))
        object.add("latest", table.latest.map(TimeText.text))
        object.add("total_bytes", table.size.total)
        object.add("table_bytes", table.size.table)
        object.add("index_bytes", table.size.index)
        object.add("toast_bytes", table.size.toast)
        object.add("parts", table.parts.map { Int64($0) })
        object.add("compressed_chunks", table.compression.map { Int64($0.chunks) })
        object.add("bytes_before_compression", table.compression?.beforeBytes)
        object.add("bytes_after_compression", table.compression?.afterBytes)
        return object
    }

    private static func json(_ job: Job) -> JSONObject {
        var object = JSONObject()
        object.add("id", job.id)
        object.add("name", job.name)
        object.add("table", job.table)
        object.add("interval_seconds", raw: job.intervalSeconds.map { "\($0)" } ?? "null")
        object.add("scheduled", job.isScheduled)
        object.add("last_status", job.lastStatus)
        object.add("last_start", job.lastStart.map(TimeText.text))
        object.add("next_start", job.nextStart.map(TimeText.text))
        object.add("failures", job.failures)
        return object
    }
}
