// Two reports side by side: which figures differ, and whether by more than the runs differed among themselves.
//
// A figure has changed when the ranges of the two do not touch. Of few runs that says little, and nothing of what the
// machine did besides: see `Comparison.cautions`.

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

    /// How likely it is that the ranges of two runs of the same do not touch, if nothing but chance is in them: all of one
    /// side's samples come first in order, or last. 0 for what is counted.
    func chanceOfDifferingByChance(isTimed: Bool) -> Double {
        guard isTimed, new.better != .neither else { return 0 }
        let (fewer, all) = (min(old.samples.count, new.samples.count), old.samples.count + new.samples.count)
        let orders = (1...fewer).reduce(1.0) { $0 * Double(all - fewer + $1) / Double($1) }
        return 2 / orders
    }

    /// Whether every run of the one is above every run of the other.
    var isBeyondNoise: Bool {
        guard (new.median - old.median).magnitude > Self.partMin * old.median.magnitude else { return false }
        return new.minimum > old.maximum || new.maximum < old.minimum
    }

    var verdict: Verdict {
        guard isBeyondNoise else { return .noise }
        switch new.better {
        case .neither: return .changed
        case .lower: return new.median < old.median ? .better : .worse
        case .higher: return new.median > old.median ? .better : .worse
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
    /// How many figures are beyond noise of two runs of the same program on a machine that is the same both times.
    let expectedByChance: Double
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
        // One sample where there are several runs was counted.
        let isOfOneRun = min(old.runs, new.runs) == 1
        expectedByChance = both.reduce(0) {
            $0 + $1.chanceOfDifferingByChance(isTimed: isOfOneRun || $1.new.samples.count > 1)
        }
        onlyOld = old.figures.filter { news[Name($0)] == nil }
        onlyNew = new.figures.filter { olds[Name($0)] == nil }
        cautions = Self.cautions(old, new)
    }

    private static let runsMin = 5
    private static let stolenPercentMax = 2.0

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
        compare("large pages") { $0.machine.hugePages }
        for name in Set(old.machine.packages.keys).union(new.machine.packages.keys).sorted() {
            compare("versions of \(name)") { $0.machine.packages[name] ?? "none" }
        }
        for (name, report) in [("old", old), ("new", new)] {
            if report.quick { out.append("the \(name) run was quick: its figures mean little") }
            if report.machine.busyPercentBefore > MachineTimes.quietPercentMax {
                out.append(
                    "the machine was busy before the \(name) run: \(short(report.machine.busyPercentBefore)) %")
            }
            if report.stolenPercent > stolenPercentMax {
                out.append(
                    "the machine's host took \(short(report.stolenPercent)) % of it away during the \(name) run")
            }
            if report.runs < runsMin {
                out.append(
                    "the \(name) figures are of \(report.runs) run\(report.runs == 1 ? "" : "s"): ranges of so few touch "
                        + "or do not by chance")
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
        out +=
            "Of the same program on the same machine at least \(Int(expectedByChance.rounded(.up))) or so would look worse or "
            + "better by chance\n"
        for (which, figures) in [("old", onlyOld), ("new", onlyNew)] where !figures.isEmpty {
            out +=
                "\(figures.count) in the \(which) report alone, of \(distinct(figures.map(\.group)).joined(separator: "; "))\n"
        }
        for caution in cautions { out += "Caution: \(caution)\n" }
        return out
    }
}
