// Times on their way to the server and back: microseconds since the Unix epoch on this side, TIMESTAMPTZ on the other.

import Text

package enum SQLTime {
    /// Where buckets begin: a Monday, TimescaleDB's own default.
    package static let bucketOrigin = "2000-01-03 00:00:00+00"

    /// Where TimescaleDB's times end: bounds behind it fail there.
    private static let end: Int64 = 9_223_371_244_800_000_000  // 294247-01-01
    /// The first day of TIMESTAMPTZ, 4714-11-24 BC.
    private static let start: Int64 = -210_866_803_200_000_000
    private static let perSecond: Int64 = 1_000_000

    /// A time as PostgreSQL reads it in every time zone and date style. What lies outside of the times that both
    /// flavours compute with becomes an infinity.
    package static func text(_ microseconds: Int64) -> String {
        guard microseconds >= start else { return "-infinity" }
        guard microseconds < end else { return "infinity" }
        let day = UTCDay(microseconds: microseconds)
        let civil = CivilDate(days: day.number)
        let rest = microseconds - day.number * 86_400 * perSecond
        let date =
            "\(padded(civil.year > 0 ? civil.year : 1 - civil.year, 4))-\(padded(civil.month, 2))-\(padded(civil.day, 2))"
        let seconds = rest / perSecond
        let clock = "\(padded(seconds / 3_600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
        return "\(date) \(clock).\(padded(rest % perSecond, 6))+00\(civil.year > 0 ? "" : " BC")"
    }

    /// Microseconds of a TIMESTAMPTZ in SQL. What 64 bits do not hold, and the infinities, become the first or the last
    /// time that they do. Goes through an interval: the epoch of a time loses digits at the end of 64 bits.
    package static func microseconds(_ expression: String) -> String {
        """
        ((extract(epoch FROM greatest(least(\(expression), timestamptz '294247-01-10 04:00:54.775807+00'), \
        timestamptz '4714-11-24 00:00:00+00 BC') - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint \
        + 946684800000000)
        """
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
