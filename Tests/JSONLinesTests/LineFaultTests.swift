import FrameCodec
import JSONLines
import Testing

/// Every fault of a line: its field, its column and its reason.
@Suite struct LineFaultTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let line: String
        let field: String?
        let column: Int
        let reason: RecordLineError.Reason

        /// - Parameter rest: stands behind kind and time; `column` counts from its first byte.
        init(_ rest: String, _ field: String?, _ column: Int, _ reason: RecordLineError.Reason) {
            let head = #"{"kind":"memory","time":0,"#
            line = head + rest
            self.field = field
            self.column = head.utf8.count + column
            self.reason = reason
        }

        init(line: String, _ field: String?, _ column: Int, _ reason: RecordLineError.Reason) {
            self.line = line
            self.field = field
            self.column = column
            self.reason = reason
        }

        var testDescription: String { line }
    }

    static let int32 = Int64(Int32.min)...Int64(Int32.max)
    static let deep = String(repeating: "[", count: 64)

    static let cases: [Case] = [
        // The line as a whole.
        Case(line: "", nil, 1, .invalidJSON(expected: "an object")),
        Case(line: "[]", nil, 1, .invalidJSON(expected: "an object")),
        Case(line: "{}", "kind", 1, .missingField),
        Case(line: #"{"time":0}"#, "kind", 1, .missingField),
        Case(line: #" {"kind":"memory"}"#, "time", 2, .missingField),
        Case(line: #"{"kind":"memory","time":null}"#, "time", 1, .missingField),
        Case(line: #"{"kind":null,"time":0}"#, "kind", 1, .missingField),
        Case(line: #"{"kind":"nonsense","time":0}"#, "kind", 9, .unknownKind("nonsense")),
        Case(line: #"{"kind":7}"#, "kind", 9, .wrongType(expected: "a string", found: "a number")),
        Case(line: #"{"kind":"memory","time":0} {}"#, nil, 28, .invalidJSON(expected: "the end of the line")),
        Case(line: #"{"kind":"memory","time":0,}"#, nil, 27, .wrongType(expected: "a string", found: "no value")),
        Case(line: #"{"kind":"memory","time":0"#, nil, 26, .invalidJSON(expected: "a comma or the end of the object")),
        Case(line: #"{"kind":"memory" "time":0}"#, nil, 18, .invalidJSON(expected: "a comma or the end of the object")),
        Case(line: #"{"kind":"memory","time" 0}"#, "time", 25, .invalidJSON(expected: "a colon")),
        // Members.
        Case(#""nonsense":1}"#, "nonsense", 1, .unknownField(kind: "memory")),
        Case(#""query_id":"q"}"#, "query_id", 1, .unknownField(kind: "memory")),
        Case(#""kind":"memory"}"#, "kind", 1, .duplicateField),
        Case(#""time":1}"#, "time", 1, .duplicateField),
        Case(#""tags":{},"tags":null}"#, "tags", 11, .duplicateField),
        Case(#""agent_id":"a","agent_id":"b"}"#, "agent_id", 16, .duplicateField),
        Case(#""agent_id":null,"agent_id":"b"}"#, "agent_id", 17, .duplicateField),
        // Types.
        Case(#""agent_id":1}"#, "agent_id", 12, .wrongType(expected: "a string", found: "a number")),
        Case(#""memory_type": [1]}"#, "memory_type", 16, .wrongType(expected: "a string", found: "an array")),
        Case(#""cache_hit":1}"#, "cache_hit", 13, .wrongType(expected: "true or false", found: "a number")),
        Case(#""cache_hit":"true"}"#, "cache_hit", 13, .wrongType(expected: "true or false", found: "a string")),
        Case(#""access_count":true}"#, "access_count", 16, .wrongType(expected: "a number", found: "a boolean")),
        Case(#""access_count":}"#, "access_count", 16, .wrongType(expected: "a number", found: "no value")),
        Case(
            #""access_count":1.0}"#, "access_count", 16,
            .wrongType(expected: "an integer", found: "a number with fraction or exponent")),
        Case(
            #""access_count":1e3}"#, "access_count", 16,
            .wrongType(expected: "an integer", found: "a number with fraction or exponent")),
        Case(
            #""compression_ratio":"1"}"#, "compression_ratio", 21,
            .wrongType(expected: "a number, \"NaN\", \"Infinity\" or \"-Infinity\"", found: "a string")),
        // Numbers.
        Case(#""access_count":2147483648}"#, "access_count", 16, .integerOutOfRange(int32)),
        Case(#""access_count":-2147483649}"#, "access_count", 16, .integerOutOfRange(int32)),
        Case(#""memory_size_bytes":9223372036854775808}"#, "memory_size_bytes", 21, .integerOutOfRange(.min ... .max)),
        Case(#""memory_size_bytes":-9223372036854775809}"#, "memory_size_bytes", 21, .integerOutOfRange(.min ... .max)),
        Case(
            #""memory_size_bytes":100000000000000000000}"#, "memory_size_bytes", 21, .integerOutOfRange(.min ... .max)),
        Case(#""compression_ratio":3.5e38}"#, "compression_ratio", 21, .floatOutOfRange(max: "3.4028235e+38")),
        Case(#""compression_ratio":-1e999999999}"#, "compression_ratio", 21, .floatOutOfRange(max: "3.4028235e+38")),
        Case(#""access_count":01}"#, "access_count", 16, .invalidJSON(expected: "a number without a leading zero")),
        Case(#""access_count":-}"#, "access_count", 17, .invalidJSON(expected: "a digit")),
        Case(
            #""compression_ratio":1.}"#, "compression_ratio", 23,
            .invalidJSON(expected: "a digit behind the decimal point")),
        Case(#""compression_ratio":1e}"#, "compression_ratio", 23, .invalidJSON(expected: "a digit of the exponent")),
        Case(#""access_count":+1}"#, "access_count", 16, .wrongType(expected: "a number", found: "no value")),
        // Texts.
        Case(#""agent_id":"a\u0000"}"#, "agent_id", 14, .nullCharacter),
        Case(#""agent_id":"\ud83e"}"#, "agent_id", 13, .loneSurrogate),
        Case(#""agent_id":"\ud83e\u0041"}"#, "agent_id", 13, .loneSurrogate),
        Case(#""agent_id":"\udd00"}"#, "agent_id", 13, .loneSurrogate),
        Case(#""agent_id":"\u12"}"#, "agent_id", 13, .invalidJSON(expected: "four hexadecimal digits behind \\u")),
        Case(
            #""agent_id":"\x"}"#, "agent_id", 13,
            .invalidJSON(expected: "one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u")),
        Case(
            "\"agent_id\":\"a\tb\"}", "agent_id", 14,
            .invalidJSON(expected: "an escape such as \\n instead of a control character")),
        Case(#""agent_id":"a"#, "agent_id", 12, .invalidJSON(expected: "the end of the string that begins here")),
        Case(
            "\"agent_id\":\"" + String(repeating: "x", count: 65_537) + "\"}", "agent_id", 12,
            .textTooLong(bytes: 65_537)),
        // Times.
        Case(line: #"{"kind":"memory","time":"today"}"#, "time", 25, .badTime(.malformed)),
        Case(line: #"{"kind":"memory","time":"2026-02-29T00:00:00Z"}"#, "time", 25, .badTime(.noSuchMoment)),
        Case(line: #"{"kind":"memory","time":"2026-01-01T00:00:00.1234567Z"}"#, "time", 25, .badTime(.tooManyDecimals)),
        Case(line: #"{"kind":"memory","time":"-004713-11-23T23:59:59.999999Z"}"#, "time", 25, .badTime(.outOfRange)),
        Case(line: #"{"kind":"memory","time":"+294247-01-10T04:00:54.775808Z"}"#, "time", 25, .badTime(.outOfRange)),
        Case(
            line: #"{"kind":"memory","time":-210866803200000001}"#, "time", 25,
            .integerOutOfRange(FrameLimits.timeRange)),
        Case(
            line: #"{"kind":"memory","time":true}"#, "time", 25,
            .wrongType(expected: "a time as a string or as an integer of microseconds", found: "a boolean")),
        // Tags.
        Case(#""tags":["a"]}"#, "tags", 8, .wrongType(expected: "an object of string to string", found: "an array")),
        Case(#""tags":{"a":1}}"#, "tags.a", 13, .wrongType(expected: "a string", found: "a number")),
        Case(#""tags":{"a":"1","b":"2","a":"3"}}"#, "tags.a", 25, .duplicateField),
        Case(#""tags":{"a":"\u0000"}}"#, "tags.a", 14, .nullCharacter),
        Case(
            "\"tags\":{" + (0...256).map { "\"\($0)\":\"\"" }.joined(separator: ",") + "}}", "tags", 8, .tooManyTags),
        // Metadata.
        Case(#""metadata":[1]}"#, "metadata", 12, .wrongType(expected: "an object", found: "an array")),
        Case(#""metadata":{"a": 01}}"#, "metadata", 18, .badMetadata(.invalidJSON)),
        Case(#""metadata":{ "a" : "\u0000"}}"#, "metadata", 20 + 1, .nullCharacter),
        Case(#""metadata":{"a":"\ud800"}}"#, "metadata", 18, .loneSurrogate),
        Case(#""metadata":{"a":1]}"#, "metadata", 18, .badMetadata(.invalidJSON)),
        Case(
            "\"metadata\":{\"a\":" + deep + String(repeating: "]", count: 64) + "}}", "metadata", 80,
            .badMetadata(.jsonTooDeep)),
        Case(#""metadata":{"a":"#, "metadata", 17, .invalidJSON(expected: "the end of the value")),
    ]

    @Test("a fault names its field, its column and its reason", arguments: cases)
    func faultIsNamed(_ given: Case) {
        let found = fault(given.line)
        #expect(found == RecordLineError(given.reason, field: given.field, column: given.column))
    }

    @Test(
        "bytes that are not UTF-8 are found where they are",
        arguments: [
            [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0x80],
        ] as [[UInt8]])
    func invalidUTF8IsFound(bytes: [UInt8]) {
        let text = Array(#"{"kind":"memory","time":0,"agent_id":"ab"#.utf8) + bytes + Array("\"}".utf8)
        #expect(fault(text) == RecordLineError(.invalidUTF8, field: "agent_id", column: 41))
        let metadata = Array(#"{"kind":"memory","time":0,"metadata":{"ü":""#.utf8) + bytes + Array("\"}}".utf8)
        #expect(fault(metadata) == RecordLineError(.invalidUTF8, field: "metadata", column: 45))
    }

    @Test("a line over the limit is refused before it is read")
    func longLineIsRefused() {
        let line = [UInt8](repeating: 0x20, count: RecordLineLimits.lineBytesMax + 1)
        #expect(fault(line)?.reason == .lineTooLong(bytesMax: RecordLineLimits.lineBytesMax))
    }

    @Test("no cut of a line is taken for a record, and none traps")
    func everyCutIsRefused() {
        let line =
            Array(
                #"{"kind":"memory","time":"2026-01-01T00:00:00Z","agent_id":"ü\u00e9","compression_ratio":1.5e-1,"#
                    .utf8)
            + Array(#""cache_hit":true,"tags":{"a":"b"},"metadata":{"a":[{},"\\"]}}"#.utf8)
        #expect(fault(line) == nil)
        for count in 0..<line.count { #expect(fault(Array(line[..<count])) != nil) }
    }
}
