// Reads RFC 3339 times: date, time of day, up to six decimals, any offset, and the expanded years of ISO 8601.

import FrameCodec
import Text

/// Times as text.
public enum TimeText {
    /// Why a text is not a time.
    public enum Fault: Error, Equatable, Sendable, CustomStringConvertible {
        /// Not of the form `2026-11-22T20:05:00.123456Z`.
        case malformed
        /// The form is right, but the calendar or the clock has no such moment.
        case noSuchMoment
        /// More decimals than microseconds have.
        case tooManyDecimals
        /// Outside of what TIMESTAMPTZ and 64 bits hold.
        case outOfRange

        public var description: String {
            switch self {
            case .malformed: "not a time such as 2026-11-22T20:05:00.123456Z"
            case .noSuchMoment: "the calendar has no such moment"
            case .tooManyDecimals: "more than six decimals: times have microseconds"
            case .outOfRange: "outside of 4714-11-24 BC to the year 294247"
            }
        }
    }

    /// Reads a time: `2026-11-22T20:05:00Z`, `2026-11-22T22:05:00.5+02:00`, `+012345-01-01T00:00:00Z`. Second 60 is the
    /// second behind it, as PostgreSQL has it.
    ///
    /// - Returns: microseconds since the Unix epoch.
    /// - Complexity: O(n).
    public static func parse(_ text: String) throws(Fault) -> Int64 {
        let result: Result<Int64, Fault> = text.utf8Span.span.bytes.withUnsafeBytes { bytes in
            do throws(Fault) { return .success(try parse(bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    static func parse(_ bytes: UnsafeRawBufferPointer) throws(Fault) -> Int64 {
        var reader = Reader(bytes: bytes)
        let date = CivilDate(
            year: try reader.year(), month: try reader.number(after: "-"), day: try reader.number(after: "-"))
        guard reader.take("T") || reader.take("t") || reader.take(" ") else { throw .malformed }
        let hour = try reader.digits(2)
        let minute = try reader.number(after: ":")
        let second = try reader.number(after: ":")
        let microseconds = reader.take(".") ? try reader.fraction() : 0
        let offsetMinutes = try reader.offset()
        guard reader.position == bytes.count else { throw .malformed }
        guard date.exists, hour <= 23, minute <= 59, second <= 60 else { throw .noSuchMoment }

        // Seconds of six-digit years fit easily; only the last product can leave 64 bits.
        let seconds = date.days * 86_400 + (hour * 60 + minute - offsetMinutes) * 60 + second
        let (product, overflow) = seconds.multipliedReportingOverflow(by: Microseconds.perSecond)
        let (time, carry) = product.addingReportingOverflow(microseconds)
        guard !overflow, !carry, FrameLimits.timeRange.contains(time) else { throw .outOfRange }
        return time
    }

    private struct Reader {
        let bytes: UnsafeRawBufferPointer
        var position = 0

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
            position += 1
            return true
        }

        mutating func digits(_ count: Int) throws(Fault) -> Int64 {
            guard bytes.count - position >= count else { throw .malformed }
            var value: Int64 = 0
            for _ in 0..<count {
                let digit = bytes[position] &- UInt8(ascii: "0")
                guard digit <= 9 else { throw .malformed }
                value = value * 10 + Int64(digit)
                position += 1
            }
            return value
        }

        mutating func number(after separator: Unicode.Scalar) throws(Fault) -> Int64 {
            guard take(separator) else { throw .malformed }
            return try digits(2)
        }

        mutating func year() throws(Fault) -> Int64 {
            if take("+") { return try digits(6) }
            if take("-") { return -(try digits(6)) }
            return try digits(4)
        }

        /// One to six decimals, as microseconds.
        mutating func fraction() throws(Fault) -> Int64 {
            var value: Int64 = 0
            var count = 0
            while position < bytes.count, bytes[position] &- UInt8(ascii: "0") <= 9 {
                guard count < 6 else { throw .tooManyDecimals }
                value = value * 10 + Int64(bytes[position] &- UInt8(ascii: "0"))
                position += 1
                count += 1
            }
            guard count > 0 else { throw .malformed }
            for _ in count..<6 { value *= 10 }
            return value
        }

        /// Minutes east of Greenwich.
        mutating func offset() throws(Fault) -> Int64 {
            if take("Z") || take("z") { return 0 }
            let isEast = take("+")
            guard isEast || take("-") else { throw .malformed }
            let hours = try digits(2)
            let minutes = try number(after: ":")
            guard hours <= 23, minutes <= 59 else { throw .noSuchMoment }
            return (isEast ? 1 : -1) * (hours * 60 + minutes)
        }
    }
}
