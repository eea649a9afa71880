// Two reports side by side: which figures differ, and whether by more than the runs differed among themselves.
//
// A figure has changed when the ranges of the two do not touch. Of few runs that says little, and nothing of what the
// machine did besides: see `Comparison.cautions`.

/// What a larger number of a unit means.
enum Direction {
    case lowerIsBetter, higherIsBetter
    /// A unit that this does not know: a change is told and not judged.
    case unknown

    private static let costs: Set = [
        "ns", "us", "ms", "s", "B", "KiB", "MiB", "GiB", "%", "CPU", "allocations", "per",
    ]

    /// Rates end with a second, costs begin with their unit, and a bare number is a part of what a peer reaches.
    init(unit: String) {
        let words = unit.split(separator: " ")
        let first = words.first.map(String.init) ?? ""
        let base = first.split(separator: "/").first.map(String.init) ?? ""
        if unit.isEmpty || unit == "records" {
            self = .higherIsBetter
        } else if first != "CPU", unit.hasSuffix("/s") {
            self = .higherIsBetter
        } else if Self.costs.contains(base) {
            self = .lowerIsBetter
        } else {
            self = .unknown
        }
    }
}

/// One figure that both reports have.
struct Change {
    enum Verdict: String {
        case worse, better, changed, noise
    }

    let old: Figure
    let new: Figure

    /// New by old; nil where the old one is zero.
    var ratio: Double? { old.median == 0 ? nil : new.median / old.median }

    /// A count is off by less than this where a datagram more or less fell into what was counted.
    private static let partMin = 0.001

    /// Whether every run of the one is above every run of the other.
    var isBeyondNoise: Bool {
        guard (new.median - old.median).magnitude > Self.partMin * old.median.magnitude else { return false }
        return new.minimum > old.maximum || new.maximum < old.minimum
    }

    var verdict: Verdict {
        guard isBeyondNoise else { return .noise }
        switch Direction(unit: old.unit) {
        case .unknown: return .changed
        case .lowerIsBetter: return new.median < old.median ? .better : .worse
        case .higherIsBetter: return new.median > old.median ? .better : .worse
        }
    }

    /// By how many percent of the old median it got worse: infinite where that was zero, 0 where it did not.
    var percentWorse: Double {
        guard verdict == .worse else { return 0 }
        guard old.median != 0 else { return .infinity }
        return (new.median - old.median).magnitude * 100 / old.median.magnitude
    }
}

struct Comparison {
    /// Those whose medians differ: what got worse first, most first, then what got better, then noise in its order.
    let changes: [Change]
    let unchangedCount: Int
    let onlyOld: [Figure]
    let onlyNew: [Figure]
    /// Why the figures may differ though the program does not.
    let cautions: [String]

    private struct Name: Hashable {
        let group: String
        let row: String
        let column: String
        let unit: String

        init(_ figure: Figure) {
            group = figure.group
            row = figure.row
            column = figure.column
            unit = figure.unit
        }
    }

    init(old: Report, new: Report) {
        // A name that comes twice in a report is told by its first figure.
        let olds = Dictionary(old.figures.map { (Name($0), $0) }) { first, _ in first }
        let news = Dictionary(new.figures.map { (Name($0), $0) }) { first, _ in first }
        let both = new.figures.compactMap { new in olds[Name(new)].map { Change(old: $0, new: new) } }
        let differing = both.filter { $0.old.median != $0.new.median }
        func those(_ verdict: Change.Verdict) -> [Change] { differing.filter { $0.verdict == verdict } }
        changes =
            those(.worse).sorted { $0.percentWorse > $1.percentWorse } + those(.better) + those(.changed)
            + those(.noise)
        unchangedCount = both.count - differing.count
        onlyOld = old.figures.filter { news[Name($0)] == nil }
        onlyNew = new.figures.filter { olds[Name($0)] == nil }
        cautions = Self.cautions(old, new)
    }

    static let loadAverageMax = 0.5

    private static func cautions(_ old: Report, _ new: Report) -> [String] {
        var out: [String] = []
        func compare(_ what: String, _ value: (Report) -> String) {
            if value(old) != value(new) { out.append("\(what) differ: \(value(old)); \(value(new))") }
        }
        compare("cores") { "\($0.machine.cores)" }
        compare("processors") { $0.machine.cpu }
        compare("kernels") { $0.machine.kernel }
        compare("memories") { "\(fixed(Double($0.machine.memoryBytes) / 1_073_741_824, decimals: 1)) GiB" }
        compare("Swift versions") { $0.machine.swift }
        for (name, report) in [("old", old), ("new", new)] {
            if report.quick { out.append("the \(name) run was quick: its figures mean little") }
            if report.machine.loadAverage > loadAverageMax {
                out.append("the machine was busy before the \(name) run: load average \(report.machine.loadAverage)")
            }
            if report.runs < 3 {
                out.append(
                    "the \(name) figures are of \(report.runs) run\(report.runs == 1 ? "" : "s"): no range to speak of")
            }
        }
        return out
    }

    /// The figures that got worse by more than so many percent, beyond noise.
    func worse(byMoreThan percent: Double) -> [Change] { changes.filter { $0.percentWorse > percent } }

    func markdown() -> String {
        var table = [["", "figure", "old", "new", "ratio"]]
        for change in changes {
            let figure = change.new
            let name = "\(figure.group): \(figure.row): \(figure.heading)"
            table.append([
                change.verdict.rawValue, name, change.old.text, change.new.text, change.ratio.map(short) ?? "-",
            ])
        }
        var out = changes.isEmpty ? "" : markdownTable(table, leftColumns: 2) + "\n"
        func count(_ verdict: Change.Verdict) -> Int { changes.count { $0.verdict == verdict } }
        out += "\(count(.worse)) worse, \(count(.better)) better, "
        if count(.changed) > 0 { out += "\(count(.changed)) changed, " }
        out += "\(count(.noise)) within noise, \(unchangedCount) the same\n"
        for (which, figures) in [("old", onlyOld), ("new", onlyNew)] where !figures.isEmpty {
            out +=
                "\(figures.count) in the \(which) report alone, of \(distinct(figures.map(\.group)).joined(separator: "; "))\n"
        }
        for caution in cautions { out += "Caution: \(caution)\n" }
        return out
    }
}
