// Which texts are metadata. The places of faults are in protocol/vectors/reject.json too.

import Testing

@testable import FrameCodec

@Suite struct MetadataCheckTests {
    private func fault(_ text: String) -> TextFault? {
        Array(text.utf8).withUnsafeBytes { MetadataCheck.fault(in: $0) }
    }

    static let valid = [
        "{}", #"{"a":1}"#, #"{"":{}}"#, #"{"a":[],"b":[[],{}],"c":"","d":-0.5e-10,"e":null,"f":true,"g":false}"#,
        #"{"\"\\\/\b\f\n\r\t":"\u0001\uD83D\uDE80\ud83d\ude80"}"#, #"{"a":"größe 🚀"}"#, #"{"a":1,"a":2}"#,
        #"{"a":1e999,"b":1E+05,"c":0.0,"d":-0}"#,
    ]

    static let invalid: [(String, Int)] = [
        ("", 0), (" {}", 0), ("[]", 0), ("{} ", 2), ("{}{}", 2), ("{", 1), (#"{"a"}"#, 4), (#"{"a":}"#, 5),
        (#"{"a":1,}"#, 7), (#"{"a":[1,]}"#, 8), (#"{"a":[1 ,2]}"#, 7), (#"{a:1}"#, 1), (#"{"a":01}"#, 5),
        (#"{"a":1.}"#, 5), (#"{"a":.1}"#, 5), (#"{"a":+1}"#, 5), (#"{"a":1e}"#, 5), (#"{"a":1e1000}"#, 5),
        (#"{"a":tru}"#, 8), (#"{"a":"\u0000"}"#, 6), (#"{"a":"\ud800"}"#, 6), (#"{"a":"\udc00"}"#, 6),
        (#"{"a":"\ud800\u0041"}"#, 6), (#"{"a":"\x"}"#, 7), (#"{"a":"\u12g4"}"#, 10), ("{\"a\":\"\n\"}", 6),
        (#"{"a":[1}"#, 7), (#"{"a":1]"#, 6), (#"{"a":1:2}"#, 6), (#"{"a":1"b":2}"#, 6), (#"{,}"#, 1),
    ]

    @Test(arguments: valid)
    func `a JSON object is metadata, and no beginning of it is`(text: String) {
        #expect(fault(text) == nil)
        let bytes = Array(text.utf8)
        for count in bytes.indices {
            let cut = bytes[..<count].withUnsafeBytes { MetadataCheck.fault(in: $0) }
            #expect(cut?.reason == .invalidJSON)
            #expect(cut.map { $0.offset <= count } ?? false)
        }
    }

    @Test(arguments: invalid)
    func `anything else is not, from its first byte at fault`(text: String, offset: Int) {
        #expect(fault(text) == TextFault(.invalidJSON, offset))
    }

    @Test func `64 levels are allowed, of objects, arrays and both`() {
        for depth in 1...70 {
            let arrays = #"{"a":"# + String(repeating: "[", count: depth - 1) + "1"
            let arraysWhole = arrays + String(repeating: "]", count: depth - 1) + "}"
            let objects = String(repeating: #"{"a":"#, count: depth) + "1" + String(repeating: "}", count: depth)
            #expect(fault(arraysWhole) == (depth <= 64 ? nil : TextFault(.jsonTooDeep, 5 + 63)))
            #expect(fault(objects) == (depth <= 64 ? nil : TextFault(.jsonTooDeep, 5 * 64)))
        }
        // Levels that were closed do not count.
        #expect(fault(#"{"a":["# + Array(repeating: "[[]]", count: 100).joined(separator: ",") + "]}") == nil)
    }

    @Test func `numbers have at most 256 bytes and exponents three digits`() {
        #expect(fault(#"{"a":\#(String(repeating: "7", count: 256))}"#) == nil)
        #expect(fault(#"{"a":\#(String(repeating: "7", count: 257))}"#) == TextFault(.invalidJSON, 5))
        #expect(fault(#"{"a":-0.\#(String(repeating: "7", count: 253))}"#) == nil)
        #expect(fault(#"{"a":-0.\#(String(repeating: "7", count: 254))}"#) == TextFault(.invalidJSON, 5))
        #expect(fault(#"{"a":1e-999}"#) == nil)
        #expect(fault(#"{"a":1e-0999}"#) == TextFault(.invalidJSON, 5))
    }

    @Test(arguments: [
        (" { \"a\" : [ 1 , 2 ] }\r\n\t", #"{"a":[1,2]}"#), (#"{"a b":" c \" d "}"#, #"{"a b":" c \" d "}"#),
        (#"{"a":"\\" , "b":1}"#, #"{"a":"\\","b":1}"#),
    ])
    func `whitespace outside of strings is removed`(text: String, expected: String) throws {
        #expect(try Metadata(json: text).json == expected)
    }

    @Test(arguments: ["", "[1]", "{\"a\":1 2}", "{\"a\":- 1}", "{\"a\":tr ue}", "{\"a\":1 .5}", "{\"a\" \"b\":1}"])
    func `removing whitespace makes nothing valid`(text: String) {
        #expect(throws: RecordError.self) { try Metadata(json: text) }
    }

    @Test func `metadata over the limit is refused`() throws {
        let most = #"{"a":"\#(String(repeating: "x", count: 65_536 - 8))"}"#
        #expect(try Metadata(json: most).json.utf8.count == 65_536)
        #expect(throws: RecordError.textTooLong(bytes: 65_537)) {
            try Metadata(json: most.replacing(#""a""#, with: #""ab""#))
        }
    }
}
