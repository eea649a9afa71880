// Times as people give them on a command line.

import JSONLines
import Text

/// `2026-11-22T20:05:00Z`, `2026-11-22 17:00`, `2026-11-22`, `today`, `yesterday`, `-24h`, `now`. All in UTC.
enum TimeArgument {
    /// For help and errors.
    static let forms = "2026-11-22T20:05:00Z, '2026-11-22 17:00', 2026-11-22, today, yesterday, -24h or now, all in UTC"

    private static let dayMicroseconds: Int64 = 86_400_000_000

    /// Reads a time.
    ///
    /// - Parameters:
    ///   - option: for the message.
    ///   - now: what relative times count from, in microseconds since the Unix epoch.
    /// - Returns: microseconds since the Unix epoch.
    static func parse(_ text: String, option: String, now: Int64) throws(CommandError) -> Int64 {
        if text == "now" { return now }
        if let start = try date(text, option: option, now: now) { return start }
        if text.hasPrefix("-"), !text.dropFirst().hasPrefix("0") {
            do throws(IntervalError) {
                // A hundred years at most: no overflow.
                return now - (try FixedInterval(String(text.dropFirst()))).seconds * 1_000_000
            } catch {
                throw CommandError(.usage, "\(option) \(text): \(error)")
            }
        }
        do throws(TimeText.Fault) {
            return try TimeText.parse(completed(text))
        } catch {
            throw fault(text, option, error)
        }
    }

    /// The day that a text names, from its first moment to the next day's.
    static func day(_ text: String, option: String, now: Int64) throws(CommandError) -> (from: Int64, to: Int64) {
        guard let start = try date(text, option: option, now: now) else {
            throw CommandError(.usage, "\(option) \(text): a day is 2026-11-30, today or yesterday, in UTC")
        }
        return (start, start + dayMicroseconds)
    }

    /// Midnight of a date; nil for what has another form.
    private static func date(_ text: String, option: String, now: Int64) throws(CommandError) -> Int64? {
        let today = now - (now % dayMicroseconds + dayMicroseconds) % dayMicroseconds
        switch text {
        case "today": return today
        case "yesterday": return today - dayMicroseconds
        default: break
        }
        guard text.utf8.count == 10, text.utf8.allSatisfy({ $0 == 0x2D || (0x30...0x39).contains($0) }) else {
            return nil
        }
        do throws(TimeText.Fault) { return try TimeText.parse(text + "T00:00:00Z") } catch {
            throw fault(text, option, error)
        }
    }

    /// `2026-11-30 17:00` and the like: with seconds, and in UTC where no offset says otherwise.
    private static func completed(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard bytes.count >= 16, bytes[4] == 0x2D, bytes[10] == 0x20 || bytes[10] == 0x54 else { return text }
        if bytes.count == 16 { return text + ":00Z" }
        let clock = text.utf8.dropFirst(11)
        let hasZone = clock.contains { $0 == 0x5A || $0 == 0x7A || $0 == 0x2B || $0 == 0x2D }
        return hasZone ? text : text + "Z"
    }

    private static func fault(_ text: String, _ option: String, _ error: TimeText.Fault) -> CommandError {
        let isNumber = text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        let advice = "a time is \(forms)" + (isNumber ? "; a number alone is not read as one" : "")
        return CommandError(.usage, "\(option) \(text): \(error == .malformed ? advice : "\(error); \(advice)")")
    }
}
