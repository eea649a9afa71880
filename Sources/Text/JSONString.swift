// A text as a JSON string, wherever the programs print JSON. Source: RFC 8259, section 7.

/// The text in quotes, with what JSON does not allow escaped. O(length).
package func jsonString(_ text: String) -> String {
    var out = ""
    out.appendJSONString(text)
    return out
}

extension String {
    /// Appends a text as a JSON string. O(length).
    package mutating func appendJSONString(_ text: String) {
        self += "\""
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            self += text
        } else {
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\"", "\\": self += "\\\(scalar)"
                case ..<" ": self += "\\u" + hexadecimal(UInt64(scalar.value), digits: 4)
                default: unicodeScalars.append(scalar)
                }
            }
        }
        self += "\""
    }
}
