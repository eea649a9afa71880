// One figure of the table: what was seen in each run, told as median and range.

/// Which way a figure should go.
enum Better: String, Codable {
    case lower, higher
    /// What was asked for, or what tells of the measuring itself: a change is told and not judged.
    case neither

    private static let costs: Set = [
        "ns", "us", "ms", "s", "B", "KiB", "MiB", "GiB", "MB", "%", "CPU", "allocations", "per",
    ]

    /// Rates end with a second and costs begin with their unit; nil where a unit does not say it.
    init?(unit: String) {
        let first = unit.split(separator: " ").first ?? ""
        let base = first.split(separator: "/").first.map(String.init) ?? ""
        if unit == "CPU s/s" {
            // How much of a core something takes while it does as much as it can.
            self = .neither
        } else if first != "CPU", unit.hasSuffix("/s") {
            self = .higher
        } else if Self.costs.contains(base) {
            self = .lower
        } else {
            return nil
        }
    }
}

/// A cell of the results.
struct Figure: Codable {
    /// Which benchmark: codec, sizes, ring, ingest.
    let group: String
    let row: String
    let column: String
    let unit: String
    let better: Better
    let median: Double
    let minimum: Double
    let maximum: Double
    /// One value for each run, in order. One only where the value is counted, not timed.
    let samples: [Double]

    init(group: String, row: String, column: String, unit: String, better: Better, samples: [Double]) {
        precondition(!samples.isEmpty)
        self.better = better
        self.group = group
        self.row = row
        self.column = column
        self.unit = unit
        self.samples = samples
        let sorted = samples.sorted()
        minimum = sorted[0]
        maximum = sorted[sorted.count - 1]
        let middle = sorted.count / 2
        median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// Of the column that it stands in: a name may come with several units.
    var heading: String { unit.isEmpty ? column : column.isEmpty ? unit : "\(column), \(unit)" }

    /// The median, and the range where it was timed: `58.2 (57.9-61.0)`.
    var text: String {
        samples.count == 1 ? short(median) : "\(short(median)) (\(short(minimum))-\(short(maximum)))"
    }
}

/// About three digits, grouped by thousands.
func short(_ value: Double) -> String {
    if value == 0 { return "0" }
    if value.magnitude >= 1_000 { return grouped(Int(value.rounded())) }
    let decimals = value.magnitude >= 100 ? 0 : value.magnitude >= 10 ? 1 : value.magnitude >= 0.01 ? 2 : 5
    return fixed(value, decimals: decimals)
}

func fixed(_ value: Double, decimals: Int) -> String {
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = Int((value.magnitude * scale).rounded())
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard decimals > 0 else { return sign + "\(scaled)" }
    let fraction = "\(scaled % Int(scale))"
    return sign + "\(scaled / Int(scale))." + String(repeating: "0", count: decimals - fraction.count) + fraction
}

private func grouped(_ value: Int) -> String {
    let digits = Array("\(value.magnitude)")
    var out = value < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
        if index > 0, (digits.count - index) % 3 == 0 { out += "," }
        out.append(digit)
    }
    return out
}
