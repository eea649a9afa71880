// Why a line is not a record. Each fault names its field and its byte, so that a message needs no further context than
// the file and the line number.

import FrameCodec
import MetricKinds

/// A line that is not a record: the first fault, and where it is.
public struct RecordLineError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The field at fault, for example `complexity_score` or `tags.region`; nil when it is the line as a whole.
    public let field: String?
    /// The first byte at fault, counted from 1 as editors do.
    public let column: Int
    public let reason: Reason

    public init(_ reason: Reason, field: String? = nil, column: Int) {
        self.reason = reason
        self.field = field
        self.column = column
    }

    public var description: String {
        if let field { "\(field): \(reason)" } else { "\(reason)" }
    }

    /// What is wrong.
    public enum Reason: Equatable, Sendable, CustomStringConvertible {
        case lineTooLong(bytesMax: Int)
        /// The line is not JSON; what was expected at the column.
        case invalidJSON(expected: String)
        case invalidUTF8
        /// U+0000, which PostgreSQL cannot store.
        case nullCharacter
        /// Half of a surrogate pair.
        case loneSurrogate
        /// A member that the record has already.
        case duplicateField
        /// A record has a kind and a time.
        case missingField
        case unknownKind(String)
        case unknownField(kind: String)
        case wrongType(expected: String, found: String)
        case integerOutOfRange(ClosedRange<Int64>)
        /// The number is over the largest of its type.
        case floatOutOfRange(max: String)
        case badTime(TimeText.Fault)
        /// An integer that is a time before 2000 or after 2099.
        case implausibleTime(Int64)
        case textTooLong(bytes: Int)
        case tooManyTags
        case badMetadata(FrameError.Reason)
        /// The record is well formed, but no frame can carry it.
        case unencodable(RecordError)

        public var description: String {
            switch self {
            case .lineTooLong(let max): "the line is longer than \(max) bytes"
            case .invalidJSON(let expected): "this is not JSON: expected \(expected)"
            case .invalidUTF8: "text is UTF-8, and this is not"
            case .nullCharacter: "U+0000 in a text, which PostgreSQL cannot store"
            case .loneSurrogate: "half of a surrogate pair in an escape"
            case .duplicateField: "the record has this field twice"
            case .missingField: "every record needs this field"
            case .unknownKind(let name): "unknown kind \"\(name)\": one of \(Self.kindNames)"
            case .unknownField(let kind): "a \(kind) record has no such field"
            case .wrongType(let expected, let found): "expected \(expected), found \(found)"
            case .integerOutOfRange(let range): "out of range: \(range.lowerBound) to \(range.upperBound)"
            case .floatOutOfRange(let max): "out of range: at most \(max)"
            case .badTime(let fault): "\(fault)"
            case .implausibleTime(let time): Self.describe(implausible: time)
            case .textTooLong(let bytes): "a text of \(bytes) bytes: at most \(FrameLimits.stringBytesMax) are stored"
            case .tooManyTags: "at most \(FrameLimits.tagsPerRecordMax) tags are stored"
            case .badMetadata(.jsonTooDeep): "over \(FrameLimits.jsonDepthMax) levels of objects and arrays"
            case .badMetadata: "this is not a JSON object that JSONB takes"
            case .unencodable(let error): "\(error)"
            }
        }

        /// Names the unit in which the number is a time of our century.
        private static func describe(implausible time: Int64) -> String {
            let units: [(name: String, microseconds: Double)] = [
                ("seconds", 1e6), ("milliseconds", 1e3), ("nanoseconds", 1e-3),
            ]
            let range = RecordLineLimits.plausibleTimes
            let unit = units.first {
                let scaled = Double(time) * $0.microseconds
                return scaled >= Double(range.lowerBound) && scaled < Double(range.upperBound)
            }
            let guess = unit.map { "\($0.name)? " } ?? ""
            return
                "the integer \(time) is a time before 2000 or after 2099: \(guess)give microseconds since 1970, or allow it "
                + "with --any-time"
        }

        private static var kindNames: String { MetricKind.allCases.map(\.name).joined(separator: ", ") }
    }
}
