// All figures of one call: the table for people, JSON for programs.

import Foundation

/// Collects figures and prints them by group.
struct Report: Codable {
    let machine: Machine
    let started: String
    let quick: Bool
    let runs: Int
    /// What the host of a virtual machine took away while measuring, in percent of all cores.
    private(set) var stolenPercent = 0.0
    private(set) var figures: [Figure] = []
    /// What a reader must know of a group beside its figures.
    private(set) var notes: [String: [String]] = [:]

    init(machine: Machine, quick: Bool, runs: Int) {
        self.machine = machine
        self.quick = quick
        self.runs = runs
        started = ISO8601DateFormatter().string(from: Date())
    }

    /// - Parameters:
    ///   - better: must be given where the unit does not say it, as that of a ratio.
    ///   - isPeer: it is a figure of what the project is held against, which is not judged.
    mutating func add(
        _ group: String, _ row: String, _ column: String, _ unit: String, _ samples: [Double], better: Better? = nil,
        isPeer: Bool = false
    ) {
        guard let better = isPeer ? .neither : better ?? Better(unit: unit) else {
            preconditionFailure("which way is better of \(group): \(column) \(unit)?")
        }
        figures.append(
            Figure(group: group, row: row, column: column, unit: unit, better: better, samples: samples))
    }

    mutating func stolen(percent: Double) { stolenPercent = percent }

    mutating func note(_ group: String, _ text: String) { notes[group, default: []].append(text) }

    /// Every group as a Markdown table: rows in the order of their first figure, columns too.
    func markdown(only group: String? = nil) -> String {
        var out = ""
        for name in distinct(figures.map(\.group)) where group == nil || name == group {
            let cells = figures.filter { $0.group == name }
            let columns = distinct(cells.map(\.heading))
            var table = [[name] + columns]
            for row in distinct(cells.map(\.row)) {
                table.append(
                    [row] + columns.map { column in cells.first { $0.row == row && $0.heading == column }?.text ?? "-" }
                )
            }
            out += markdownTable(table, leftColumns: 1)
            for note in notes[name] ?? [] { out += "\n\(note)\n" }
            out += "\n"
        }
        return out
    }

    /// All of it, for people.
    var text: String {
        machine.text + "; \(short(stolenPercent)) % taken by the host meanwhile\n\n" + markdown()
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let url = URL(fileURLWithPath: path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try encoder.encode(self).write(to: url)
    }
}

/// A Markdown table; the first row is its head. Columns behind the first `leftColumns` stand at the right.
func markdownTable(_ table: [[String]], leftColumns: Int) -> String {
    let widths = table[0].indices.map { column in table.map { $0[column].count }.max() ?? 0 }
    func line(_ cells: [String]) -> String {
        let padded = cells.enumerated().map { index, cell in
            let blank = String(repeating: " ", count: widths[index] - cell.count)
            return index < leftColumns ? cell + blank : blank + cell
        }
        return "| " + padded.joined(separator: " | ") + " |\n"
    }
    let rule = widths.enumerated().map { index, width in
        String(repeating: "-", count: width + (index < leftColumns ? 2 : 1)) + (index < leftColumns ? "" : ":")
    }
    return line(table[0]) + "|" + rule.joined(separator: "|") + "|\n" + table.dropFirst().map(line).joined()
}

func distinct(_ names: [String]) -> [String] {
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }
}
