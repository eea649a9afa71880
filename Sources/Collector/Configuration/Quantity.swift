// Numbers with units, as operators write them: 10GiB, 250ms, 90d, 5%.

import Text

/// What a number counts. A text without a unit is in the unit that the case names.
package enum Quantity: Equatable, Sendable {
    case count
    case bytes
    case milliseconds
    case seconds
    case days
    case percent

    /// The number in the case's own unit; nil for a text that is not one, or not a whole number of that unit, or beyond 64 bits.
    ///
    /// Bytes take KiB, MiB, GiB, TiB (powers of 1,024; K, M, G, T mean the same) and kB, MB, GB, TB (powers of 1,000). Lengths
    /// of time take ms, and what `FixedInterval` takes. A space before the unit is allowed.
    package func value(_ text: String) -> Int? {
        if let plain = Int(text) { return plain }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        guard let number = Int(digits), !unit.isEmpty else { return nil }
        switch self {
        case .count: return nil
        case .percent: return unit == "%" ? number : nil
        case .bytes:
            guard let factor = Self.byteUnits[unit.lowercased()] else { return nil }
            return Self.product(number, factor)
        case .milliseconds: return Self.milliseconds(number, unit, text)
        case .seconds: return Self.milliseconds(number, unit, text).flatMap { Self.whole($0, 1_000) }
        case .days: return Self.milliseconds(number, unit, text).flatMap { Self.whole($0, 86_400_000) }
        }
    }

    /// A number in the case's own unit with the largest unit that leaves it whole, for example `10GiB`.
    package func text(_ value: Int) -> String {
        let units: [(name: String, size: Int)]
        switch self {
        case .count: return "\(value)"
        case .percent: return "\(value)%"
        case .bytes: units = [("PiB", 1 << 50), ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        case .milliseconds:
            units = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)]
        case .seconds: units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)]
        case .days: units = [("d", 1)]
        }
        for unit in units where value >= unit.size && value % unit.size == 0 {
            return "\(value / unit.size)\(unit.name)"
        }
        return self == .bytes ? "\(value)B" : "\(value)\(units.last?.name ?? "")"
    }

    /// What is allowed, for an error: the range with its unit.
    package func allowed(_ range: ClosedRange<Int>) -> String {
        let bounds = "from \(text(range.lowerBound)) to \(text(range.upperBound))"
        return switch self {
        case .count: "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .bytes: "a size \(bounds), for example 64KiB or 8MiB; a number without a unit is in bytes"
        case .milliseconds:
            "a length of time \(bounds), for example 250ms or 2s; a number without a unit is in milliseconds"
        case .seconds: "whole seconds \(bounds), for example 90s or 5min; a number without a unit is in seconds"
        case .days: "whole days \(bounds); a number without a unit is in days"
        case .percent: "a whole number \(bounds)"
        }
    }

    private static let byteUnits: [String: Int] = [
        "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40, "pib": 1 << 50, "k": 1 << 10,
        "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000,
        "tb": 1_000_000_000_000,
    ]

    private static func milliseconds(_ number: Int, _ unit: Substring, _ text: String) -> Int? {
        if unit == "ms" { return number }
        if number == 0 { return 0 }
        do throws(IntervalError) {
            return Int(try FixedInterval(text).seconds * 1_000)
        } catch {
            return nil
        }
    }

    private static func whole(_ value: Int, _ divisor: Int) -> Int? { value % divisor == 0 ? value / divisor : nil }

    private static func product(_ number: Int, _ factor: Int) -> Int? {
        let (value, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : value
    }
}
