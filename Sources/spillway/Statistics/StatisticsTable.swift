/// The ledger for people.

import Text
struct StatisticsTable {
    let statistics: CollectorStatistics

    private static let sourcesShownMax = 20
    /// Characters of a source's name; longer ones are cut.
    static let nameCharactersMax = 40

    var text: String {
        var out: [String] = []
        out += rows(
            [
                ("datagrams received", "datagrams_received"), ("frames received", "frames_received"),
                ("bytes received", "bytes_received"), ("records received", "records_received"),
            ].map { ($0.0, statistics[$0.1]) })
        out.append("")
        out.append("Where the records went since the start, \(statistics.age) ago")
        out += rows(CollectorStatistics.places.map { ("  " + $0.meaning, statistics[$0.name]) })
        out.append(balance)
        out.append("")
        out.append("Lost before they were received")
        out += rows([
            ("  frames missing by sequence", statistics["sequence_gap_frames"]),
            ("  datagrams dropped by the kernel", statistics["kernel_drops"]),
        ])
        out += reconciliation
        if statistics["implausible_sequences"] > 0 {
            out += rows([
                ("  numbers that no sender can have reached, left out", statistics["implausible_sequences"])
            ])
        }
        let refused = (statistics.framesRefused ?? [:]).filter { $0.value > 0 }.sorted { $0.value > $1.value }
        out += rows(refused.map { ("  frames refused: \($0.key)", $0.value) })
        if statistics["duplicate_frames"] > 0 {
            out += rows([("Frames recognised as resent", statistics["duplicate_frames"])])
        }
        out += sources
        if let database = statistics.database { out += ["", "Database: \(database)"] }
        out += (statistics.notReady ?? []).map { "Not ready: \($0)" }
        out += (statistics.warnings ?? []).map { "Warning: \($0)" }
        return out.joined(separator: "\n")
    }

    private var balance: String {
        let difference = statistics.unaccounted
        if difference == 0 { return "The books balance: every record that was received is accounted for." }
        if difference > 0 {
            return
                "The books do not balance: \(counted(UInt64(difference), "record")) \(difference == 1 ? "is" : "are") unaccounted "
                + "for. Under load they may be between two counters: run 'spillway stats' again."
        }
        return
            "The books do not balance: \(counted(difference.magnitude, "record")) more \(difference == -1 ? "is" : "are") accounted "
            + "for than came in. Under load they may be between two counters: run 'spillway stats' again."
    }

    /// What the senders say, in words.
    private var reconciliation: [String] {
        let books = statistics.reconciliation
        let sent = books?.recordsSent ?? 0
        let missing = books?.recordsMissing ?? 0
        let dropped = books?.recordsDroppedByClient ?? 0
        var text: String
        if (books?.sessions ?? 0) == 0 {
            text = "No sender has reported yet what it sent."
        } else if missing == 0 {
            text = "The senders report \(counted(sent, "record")) sent, and all of them arrived."
        } else {
            text =
                "The senders report \(counted(sent, "record")) sent; \(grouped(missing)) of them did not arrive: "
                + "lost on the way or in a kernel, or refused."
        }
        if dropped > 0 { text += " They dropped \(grouped(dropped)) more before sending." }
        let before = books?.sessionsBegunBefore ?? 0
        if before > 0 {
            text +=
                " (\(counted(before, "session")) \(before == 1 ? "is" : "are") left out, whose first frames this run of the "
                + "collector does not have: sent to an earlier run, lost on the way, or of evicted sessions.)"
        }
        guard books?.exact == false else { return [text] }
        return [
            text,
            "These numbers are not exact: \(grouped(statistics["sessions_evicted"])) sessions were evicted. "
                + "At least this much was sent and lost.",
        ]
    }

    private var sources: [String] {
        let all = (statistics.sources ?? []).sorted { received($0) > received($1) }
        guard !all.isEmpty else { return [] }
        var table = [["SOURCE", "NAME", "PEER", "RECORDS", "FRAMES", "MISSING", "SENT", "LOST"]]
        for source in all.prefix(Self.sourcesShownMax) {
            table.append([
                source.source, source.name?.printable(charactersMax: Self.nameCharactersMax) ?? "-", source.peer ?? "-",
                grouped(received(source)),
                grouped(source.totals["frames_received"] ?? 0), grouped(source.totals["sequence_gap_frames"] ?? 0),
                source.reconciliation?.recordsSent.map { grouped($0) } ?? "-",
                source.reconciliation?.recordsMissing.map { grouped($0) } ?? "-",
            ])
        }
        let widths = table[0].indices.map { column in table.map { $0[column].count }.max() ?? 0 }
        var lines = [""]
        for row in table {
            let cells = row.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - row[column].count)
                return column < 3 ? row[column] + space : space + row[column]
            }
            lines.append(cells.joined(separator: "  "))
        }
        if all.count > Self.sourcesShownMax {
            lines.append("and \(all.count - Self.sourcesShownMax) more (--json has them)")
        }
        return lines
    }

    private func received(_ source: CollectorStatistics.Source) -> UInt64 { source.totals["records_received"] ?? 0 }

    /// Names to the left, numbers to the right.
    private func rows(_ rows: [(name: String, value: UInt64)]) -> [String] {
        rows.map { row in
            let value = grouped(row.value)
            return row.name + String(repeating: " ", count: max(1, 56 - row.name.count - value.count)) + value
        }
    }
}
