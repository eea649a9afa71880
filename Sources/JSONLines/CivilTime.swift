// Times since the Unix epoch as text.

import Text

/// Microseconds in larger units.
enum Microseconds {
    static let perSecond: Int64 = 1_000_000
    static let perMinute: Int64 = 60_000_000
    static let perHour: Int64 = 3_600_000_000
    static let perDay: Int64 = 86_400_000_000
}

extension GrowingBytes {
    /// Appends a time as RFC 3339 in UTC with six decimals: `2026-11-22T20:05:00.123456Z`. Years outside of 0 to 9999
    /// take a sign and six digits, as ISO 8601 has it.
    mutating func append(time: Int64) {
        var days = time / Microseconds.perDay
        var rest = time % Microseconds.perDay
        if rest < 0 {
            days -= 1
            rest += Microseconds.perDay
        }
        let date = CivilDate(days: days)
        let isExpanded = !(0...9999).contains(date.year)
        if isExpanded { append(date.year < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+")) }
        append(date.year.magnitude, digits: isExpanded ? 6 : 4)
        append(UInt8(ascii: "-"))
        append(date.month.magnitude, digits: 2)
        append(UInt8(ascii: "-"))
        append(date.day.magnitude, digits: 2)
        append(UInt8(ascii: "T"))
        append((rest / Microseconds.perHour).magnitude, digits: 2)
        append(UInt8(ascii: ":"))
        append((rest / Microseconds.perMinute % 60).magnitude, digits: 2)
        append(UInt8(ascii: ":"))
        append((rest / Microseconds.perSecond % 60).magnitude, digits: 2)
        append(UInt8(ascii: "."))
        append((rest % Microseconds.perSecond).magnitude, digits: 6)
        append(UInt8(ascii: "Z"))
    }
}
