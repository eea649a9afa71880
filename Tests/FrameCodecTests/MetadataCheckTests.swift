// Which texts are metadata. The places of faults are in protocol/vectors/reject.json too.

import Foundation
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

    // MARK: Against the check byte by byte

    private func agree(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { MetadataCheck.fault(in: $0) == PlainMetadataCheck.fault(in: $0) }
    }

    private func agree(_ text: String) -> Bool { agree(Array(text.utf8)) }

    @Test func `all short texts of the bytes that mean something`() {
        let alphabet = Array(#"{}[]",:\u0d9e.-+tn/"#.utf8) + [0x1F, 0xC3, 0x20]
        let heads = ["", "{", #"{""#, #"{"":"#, #"{"":["#, #"{"":""#, #"{"":"\ud83"#, #"{"":1"#].map { Array($0.utf8) }
        for head in heads {
            // Numbers of three digits, each a place in the alphabet.
            for number in 0..<alphabet.count * alphabet.count * alphabet.count {
                var bytes = head
                var rest = number
                for _ in 0..<3 {
                    bytes.append(alphabet[rest % alphabet.count])
                    rest /= alphabet.count
                }
                if !agree(bytes) { Issue.record("\(bytes)") }
                if !agree(bytes + [0x7D]) { Issue.record("\(bytes) and }") }
            }
        }
    }

    @Test func `each byte at each place of strings of each length`() {
        for length in 0...40 {
            for place in 0...length {
                for byte in UInt8.min...UInt8.max {
                    var text = [UInt8](repeating: 0x78, count: length)
                    text.insert(byte, at: place)
                    let bytes = Array(#"{"k":""#.utf8) + text + Array(#""}"#.utf8)
                    if !agree(bytes) { Issue.record("\(bytes)") }
                    // The text's end comes before the string's.
                    if !agree(Array(bytes.dropLast(2))) { Issue.record("\(bytes) cut") }
                }
            }
        }
    }

    @Test func `numbers of each length, and each byte at each place of them`() {
        for digits in Array(0...20) + Array(250...258) {
            for place in 0...digits {
                for byte in Array(#"0e.-+,}]"x:/"#.utf8) + [0xB0, 0xFF] {
                    var number = [UInt8](repeating: 0x37, count: digits)
                    number.insert(byte, at: place)
                    let bytes = Array(#"{"k":"#.utf8) + number
                    if !agree(bytes) || !agree(bytes + [0x7D]) { Issue.record("\(bytes)") }
                }
            }
        }
    }

    @Test func `literals with each byte at each place, and cut`() {
        for literal in ["true", "false", "null"] {
            let whole = Array(#"{"k":\#(literal)}"#.utf8)
            for place in 5..<whole.count {
                for byte in UInt8.min...UInt8.max {
                    var bytes = whole
                    bytes[place] = byte
                    if !agree(bytes) { Issue.record("\(bytes)") }
                    if !agree(Array(bytes[...place])) { Issue.record("\(bytes[...place])") }
                }
            }
        }
    }

    @Test func `random objects, changed at random places`() {
        let seed = testSeed(ProcessInfo.processInfo.environment)
        var generator = SeededGenerator(seed: seed)
        func below(_ end: Int) -> Int { Int.random(in: 0..<end, using: &generator) }
        let pieces = [
            "key", "a", "größe", "🚀", #"\""#, #"\\"#, #"\u0001"#, #"\uD83D\uDE80"#, "the same words again and again",
            " ",
        ]
        func string() -> String { "\"" + (0..<below(5)).map { _ in pieces[below(pieces.count)] }.joined() + "\"" }
        func value(_ depth: Int) -> String {
            switch below(depth < 5 ? 9 : 7) {
            case 0: return "null"
            case 1: return "true"
            case 2: return "false"
            case 3: return string()
            case 4: return "\(Int64.random(in: .min ... .max, using: &generator) >> Int64(below(64)))"
            case 5: return ["-0", "0.10", "1E+5", "-1.50e-300", "123456789012345678901234567890", "0e0"][below(6)]
            case 6: return below(2) == 0 ? "[]" : "{}"
            case 7: return "[" + (0..<below(4)).map { _ in value(depth + 1) }.joined(separator: ",") + "]"
            default: return object(depth + 1)
            }
        }
        func object(_ depth: Int) -> String {
            "{" + (0..<below(5)).map { _ in string() + ":" + value(depth + 1) }.joined(separator: ",") + "}"
        }
        let bytesOften = Array(#"{}[]",:\0u1e.-"#.utf8)
        for _ in 0..<20_000 {
            let whole = Array(object(0).utf8)
            let found = whole.withUnsafeBytes { MetadataCheck.fault(in: $0) }
            if found != nil || !agree(whole) { Issue.record("seed \(seed): \(whole)") }
            for _ in 0..<4 {
                var bytes = whole
                for _ in 0...below(2) where !bytes.isEmpty {
                    let place = below(bytes.count)
                    let byte = below(2) == 0 ? bytesOften[below(bytesOften.count)] : UInt8(below(256))
                    switch below(4) {
                    case 0: bytes[place] = byte
                    case 1: bytes.remove(at: place)
                    case 2: bytes.removeLast(bytes.count - place)
                    default: bytes.insert(byte, at: place)
                    }
                }
                if !agree(bytes) { Issue.record("seed \(seed): \(bytes)") }
            }
        }
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
