// `spillway cleanup`: old rows go now, whatever the policies say.

import ArgumentParser
import Collector
import LinuxSystem
import Maintenance
import MetricKinds
import Postgres
import StoreSchema
import Text

struct CleanupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup",
        abstract: "Drop the chunks and partitions that are older than so much.",
        discussion: """
            Whole chunks and partitions go, so that a chunk with younger rows stays. Rows without one (of days that no \
            partition was made for) are deleted. What the tables keep by themselves is the setting --retention.

            EXAMPLES:
              spillway cleanup --older-than 90d --dry-run --database postgresql://metrics@db.example/metrics
              spillway cleanup --older-than 7d --table system --table point
            """)

    @OptionGroup var location: DatabaseArguments
    @Option(help: "The age, for example 12h, 90d or 2w.") var olderThan: String
    @Option(help: "Only this kind's table, for example routing or routing_metrics. Repeatable.") var table: [String] =
        []
    @Flag(help: "Show what would go and drop nothing.") var dryRun = false
    @Flag(help: "Print a JSON object a line.") var json = false

    func run() throws {
        guard let age = StoreInterval(olderThan) else {
            throw CommandError(
                .usage, "--older-than '\(olderThan)': it is not a length of time in whole hours: write 12h, 90d or 2w")
        }
        let kinds = try chosenKinds()
        let connection = try location.connect(as: "spillway cleanup", isForWriting: true)
        let retention = Retention(
            connection, try talking { () throws(DatabaseError) in try SchemaManager(connection).status() })
        var clocks = HousekeepingReport()
        let now = try talking { () throws(DatabaseError) in try retention.now(wallClockMicroseconds(), &clocks) }
        for line in clocks.warnings { report(line) }
        let cutoff = now - age.microseconds
        var total = (ranges: 0, rows: Int64(0), bytes: Int64(0))
        for kind in kinds {
            let expired = try talking { () throws(DatabaseError) in try retention.expired(kind, before: cutoff) }
            var failure: CommandError?
            func show(_ gone: [ExpiredRows]) {
                for rows in gone where failure == nil {
                    total = (total.ranges + 1, total.rows + rows.rows, total.bytes + (rows.bytes ?? 0))
                    do throws(CommandError) {
                        try writeOutput(line: json ? rows.json(isDryRun: dryRun) : rows.line(isDryRun: dryRun))
                    } catch {
                        failure = error
                    }
                }
            }
            if dryRun {
                show(expired)
            } else {
                try talking { () throws(DatabaseError) in
                    // Nothing goes that cannot be reported.
                    let isWanted = { () throws(DatabaseError) in failure == nil }
                    try retention.drop(kind, expired, before: cutoff, while: isWanted, done: show)
                }
            }
            if let failure { throw failure }
        }
        guard !json else { return }
        try writeOutput(
            line: total.ranges == 0
                ? "nothing is older than \(age)"
                : "\(dryRun ? "would free" : "freed") about \(counted(UInt64(total.bytes), "byte")), "
                    + counted(UInt64(total.rows), "row"))
    }

    private func chosenKinds() throws(CommandError) -> [MetricKind] {
        guard !table.isEmpty else { return MetricKind.allCases }
        var kinds: [MetricKind] = []
        for name in table {
            let plain = name.hasPrefix("metrics.") ? String(name.dropFirst(8)) : name
            guard let kind = MetricKind.allCases.first(where: { $0.name == plain || $0.tableName == plain }) else {
                let known = MetricKind.allCases.map(\.name).joined(separator: ", ")
                throw CommandError(.usage, "--table \(name): there is no such table; there are \(known)")
            }
            if !kinds.contains(kind) { kinds.append(kind) }
        }
        return kinds
    }
}

extension ExpiredRows {
    fileprivate func line(isDryRun: Bool) -> String {
        let verb = isDryRun ? "would drop" : "dropped"
        guard let from, let to else {
            return "\(isDryRun ? "would delete" : "deleted")  \(rowsText) of \(name)"
        }
        return "\(verb)  \(table)  \(from) to \(to)  \(rowsText), \(grouped(UInt64(bytes ?? 0))) bytes"
    }

    private var rowsText: String {
        switch accuracy {
        case .exact: counted(UInt64(max(rows, 0)), "row")
        case .estimate: "about \(counted(UInt64(max(rows, 0)), "row"))"
        case .atLeast: "at least \(counted(UInt64(max(rows, 0)), "row"))"
        }
    }

    fileprivate func json(isDryRun: Bool) -> String {
        var object = JSONObject()
        object.add("table", table)
        object.add("name", name)
        object.add("from", from)
        object.add("to", to)
        object.add("rows", rows)
        object.add("rows_accuracy", accuracy.rawValue)
        object.add("bytes", bytes ?? 0)
        object.add("dropped", !isDryRun)
        return object.text
    }
}
