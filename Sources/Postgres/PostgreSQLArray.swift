// The text form of arrays, for parameters.
// Format: https://www.postgresql.org/docs/current/arrays.html, "Array Value Input".

package enum PostgreSQLArray {
    /// An array of one dimension; nil is NULL. Every value is quoted, whatever is in it. O(bytes).
    package static func text(_ values: some Sequence<String?>) -> String {
        var text = "{"
        var separator = ""
        for value in values {
            text += separator
            separator = ","
            guard let value else {
                text += "NULL"
                continue
            }
            text += "\""
            if value.utf8.contains(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) {
                for scalar in value.unicodeScalars {
                    if scalar == "\"" || scalar == "\\" { text += "\\" }
                    text.unicodeScalars.append(scalar)
                }
            } else {
                text += value
            }
            text += "\""
        }
        return text + "}"
    }
}
