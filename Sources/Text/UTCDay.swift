// The unit of native partitions and of chunks: one day in UTC.

/// A day in UTC, as its number since 1970-01-01.
public struct UTCDay: Equatable, Comparable, Hashable, Sendable {
    public let number: Int64

    public init(number: Int64) { self.number = number }

    /// The day that holds a time. Times before 1970 round down as well.
    public init(microseconds: Int64) {
        let perDay: Int64 = 86_400_000_000
        number = microseconds / perDay - (microseconds % perDay < 0 ? 1 : 0)
    }

    /// The day's first moment since the Unix epoch. Days that 64 bits do not hold trap.
    package var microseconds: Int64 { number * 86_400_000_000 }

    public static func < (left: UTCDay, right: UTCDay) -> Bool { left.number < right.number }
    public func advanced(by days: Int) -> UTCDay { UTCDay(number: number + Int64(days)) }

    /// `20261122`, the end of a partition's name.
    package var compact: String { text(separator: "") }
    /// The day's first moment as PostgreSQL reads it in every time zone.
    package var timestamp: String { text(separator: "-") + " 00:00:00+00" }

    /// A time to the second, for people: `2026-11-22T20:05:00Z`.
    package static func timeText(_ microseconds: Int64) -> String {
        let day = UTCDay(microseconds: microseconds)
        let second = Int((microseconds - day.microseconds) / 1_000_000)
        let parts = [second / 3_600, second / 60 % 60, second % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
        return day.text(separator: "-") + "T" + parts.joined(separator: ":") + "Z"
    }

    private func text(separator: String) -> String {
        let date = CivilDate(days: number)
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return [padded(date.year, 4), padded(date.month, 2), padded(date.day, 2)].joined(separator: separator)
    }
}
