import Foundation
import Testing
import Text

@Suite struct JSONStringTests {
    @Test func everyTextComesBackFromFoundationsReader() throws {
        let controls = (0..<0x80).map { String(UnicodeScalar(UInt8($0))) }
        for text in controls + ["", "a\"b\\c\nd", "é\u{301} 👩‍👩‍👧 \u{2028}", "\u{7F}\u{80}\u{10FFFF}", "\\u0041"] {
            let json = "[" + jsonString(text) + "]"
            let value = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String]
            #expect(value == [text])
        }
    }
}
