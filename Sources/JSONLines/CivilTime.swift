// Microseconds since the Unix epoch and the proleptic Gregorian calendar, both ways, in integers. The arithmetic is
// Howard Hinnant's (howardhinnant.github.io/date_algorithms.html): years begin in March, so that the leap day comes
// last.

/// A date of the proleptic Gregorian calendar; year 0 is 1 BC.
struct CivilDate: Equatable {
    var year: Int64
    /// 1 to 12.
    var month: Int64
    /// 1 to 31.
    var day: Int64

    init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// The date so many days after 1970-01-01. O(1).
    init(days: Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Days after 1970-01-01. O(1).
    var days: Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// Whether the calendar has this date.
    var exists: Bool {
        guard (1...12).contains(month), day >= 1 else { return false }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        switch month {
        case 2: return day <= (isLeap ? 29 : 28)
        case 4, 6, 9, 11: return day <= 30
        default: return day <= 31
        }
    }
}

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
