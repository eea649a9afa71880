// Values as text: exact for programs, harmless for terminals.

import FrameCodec
import JSONLines
import StoreQueries
import Text

extension StoredValue {
    /// The value as CSV has it. Floats read back to the same value.
    var text: String {
        switch self {
        case .text(let text): text
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): "\(value)"
        case .float32(let value): Self.text(value)
        case .float64(let value): Self.text(value)
        case .json(let text): compactJSON(text)
        }
    }

    /// The value in JSON. As in the lines of records, NaN and the infinities are strings.
    var json: String {
        switch self {
        case .text(let text): jsonString(text)
        case .float32(let value) where !value.isFinite: "\"\(Self.text(value))\""
        case .float64(let value) where !value.isFinite: "\"\(Self.text(value))\""
        case .bool, .integer, .float32, .float64, .json: text
        }
    }

    var isNumber: Bool {
        switch self {
        case .integer, .float32, .float64: true
        case .text, .bool, .json: false
        }
    }

    private static func text<Value: BinaryFloatingPoint & CustomStringConvertible>(_ value: Value) -> String {
        if value.isNaN { return "NaN" }
        return value.isFinite ? value.description : value > 0 ? "Infinity" : "-Infinity"
    }
}

/// The longest cell of a table for people, in characters.
let cellCharactersMax = 40

private let scalarsOfCharacterMax = 16

/// A text as a cell of a table for people: what would move the cursor, change colours or turn the direction of writing
/// is shown as its escape, and what is too long is cut. Absent values are a dash.
func tableCell(_ text: String?) -> String {
    guard let text else { return "-" }
    var out = ""
    var count = 0
    for character in text {
        // Piles of accents reach into other lines.
        let isPile = character.unicodeScalars.count > scalarsOfCharacterMax
        let isPlain = !isPile && !character.unicodeScalars.contains(where: isHarmful)
        let shown = isPlain ? String(character) : isPile ? "…" : escaped(character)
        count += shown.count
        if count > cellCharactersMax {
            while out.count >= cellCharactersMax { out.removeLast() }
            return out + "…"
        }
        out += shown
    }
    return out
}

private func escaped(_ character: Character) -> String {
    character.unicodeScalars.reduce(into: "") { out, scalar in
        switch scalar {
        case "\n": out += "\\n"
        case "\r": out += "\\r"
        case "\t": out += "\\t"
        case _ where isHarmful(scalar): out += "\\u{\(String(scalar.value, radix: 16))}"
        default: out.unicodeScalars.append(scalar)
        }
    }
}

/// Control characters, formats such as changes of direction, and line separators.
private func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: true
    default: false
    }
}

/// A row of CSV by RFC 4180, with a line feed at its end as PostgreSQL writes it: absent values are empty, empty texts
/// are quoted.
func csvLine(_ cells: [String?]) -> String {
    // Bytes and not characters: a quote with an accent on it is a quote as well.
    var bytes: [UInt8] = []
    for (index, cell) in cells.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        guard let cell else { continue }
        let isPlain = !cell.isEmpty && cell.utf8.allSatisfy { !isSpecialInCSV($0) }
        if isPlain {
            bytes.append(contentsOf: cell.utf8)
            continue
        }
        bytes.append(UInt8(ascii: "\""))
        for byte in cell.utf8 {
            if byte == UInt8(ascii: "\"") { bytes.append(byte) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }
    bytes.append(UInt8(ascii: "\n"))
    return String(decoding: bytes, as: UTF8.self)
}

private func isSpecialInCSV(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(ascii: "\r"), UInt8(ascii: "\n"): true
    default: false
    }
}
