// Lengths of time that are the same everywhere: no months and years.

/// A whole number of seconds, written as `1 hour`, `15 minutes`, `7d`.
public struct FixedInterval: Equatable, Sendable {
    public let seconds: Int64

    /// A hundred years.
    public static let secondsMax: Int64 = 36_525 * 86_400

    private static let units: [(seconds: Int64, names: [String])] = [
        (1, ["s", "sec", "secs", "second", "seconds"]), (60, ["m", "min", "mins", "minute", "minutes"]),
        (3_600, ["h", "hour", "hours"]), (86_400, ["d", "day", "days"]), (604_800, ["w", "week", "weeks"]),
    ]

    /// Reads a positive number and a unit, with or without spaces between them; without a number it is 1.
    public init(_ text: String) throws(IntervalError) {
        let trimmed = text.drop { $0 == " " }
        let digits = trimmed.prefix { $0.isASCII && $0.isNumber }
        let written = trimmed.dropFirst(digits.count).filter { $0 != " " }
        guard written != "M" else {
            throw IntervalError(text: text, reason: "M may mean minutes or months: write 1min, or 30d")
        }
        let unit = written.lowercased()
        guard let known = Self.units.first(where: { $0.names.contains(unit) }) else {
            let isCalendar = ["month", "months", "mon", "year", "years", "y"].contains(unit)
            throw IntervalError(
                text: text,
                reason: isCalendar
                    ? "months and years have no fixed length, use days or weeks"
                    : "a number of seconds, minutes, hours, days or weeks, as in 15min, 1h or \"7 days\"")
        }
        guard let count = digits.isEmpty ? 1 : Int64(digits), count > 0,
            count <= Self.secondsMax / known.seconds
        else { throw IntervalError(text: text, reason: "it is from 1s to 36525d") }
        seconds = count * known.seconds
    }
}

/// A length of time that cannot be read, and why.
public struct IntervalError: Error, Equatable, Sendable, CustomStringConvertible {
    public let text: String
    public let reason: String

    /// One line.
    public var description: String { "\"\(text)\" is not a length of time: \(reason)" }
}
