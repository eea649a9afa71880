// Times as people give them on a command line.

import JSONLines
import TimescaleStore

/// `2026-11-22T20:05:00Z`, `2026-11-22`, `-24h`, `now`.
enum TimeArgument {
    /// Reads a time.
    ///
    /// - Parameters:
    ///   - option: for the message.
    ///   - now: what relative times count from, in microseconds since the Unix epoch.
    /// - Returns: microseconds since the Unix epoch.
    static func parse(_ text: String, option: String, now: Int64) throws(CommandError) -> Int64 {
        if text == "now" { return now }
        if text.hasPrefix("-"), !text.dropFirst().hasPrefix("0") {
            do throws(QueryError) {
                // A hundred years at most: no overflow.
                return now - (try FixedInterval(String(text.dropFirst()))).seconds * 1_000_000
            } catch {
                throw CommandError(.usage, "\(option) \(text): \(error)")
            }
        }
        // Midnight in UTC.
        let isDate = text.utf8.count == 10 && !text.contains("T")
        do throws(TimeText.Fault) {
            return try TimeText.parse(isDate ? text + "T00:00:00Z" : text)
        } catch {
            let forms = "a time is 2026-11-22T20:05:00Z, 2026-11-22, -24h or now"
            throw CommandError(.usage, "\(option) \(text): \(error == .malformed ? forms : "\(error); \(forms)")")
        }
    }
}
