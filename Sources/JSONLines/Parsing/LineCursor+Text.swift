// JSON strings: unescaped and checked on the way into the parser's memory.

extension LineCursor {
    /// Reads a string into `scratch`.
    ///
    /// - Returns: where it lies there: UTF-8 without U+0000.
    /// - Throws: faults at their own byte, without a field.
    /// - Complexity: O(n), without allocation once `scratch` is large enough.
    @inline(__always)
    mutating func string(into scratch: inout GrowingBytes) throws(RecordLineError) -> Range<Int> {
        guard take("\"") else { throw wrongType("a string") }
        let opening = position - 1
        let first = scratch.count
        while true {
            let runStart = position
            skipPlainText()
            scratch.append(bytes(from: runStart, to: position))
            if take("\"") { return first..<scratch.count }
            try special(opening: opening, into: &scratch)
        }
    }

    /// Reads what stands where a run of plain text ended: an escape or a character that is not ASCII.
    @inline(never)
    private mutating func special(opening: Int, into scratch: inout GrowingBytes) throws(RecordLineError) {
        guard position < end else {
            throw fault(.invalidJSON(expected: "the end of the string that begins here"), at: opening)
        }
        switch peek {
        case UInt8(ascii: "\\"): try escape(into: &scratch)
        case 0..<0x20:
            throw fault(.invalidJSON(expected: "an escape such as \\n instead of a control character"), at: position)
        default:
            guard let length = sequenceLength() else { throw fault(.invalidUTF8, at: position) }
            scratch.append(bytes(from: position, to: position + length))
            advance(length)
        }
    }

    /// Bytes of the well-formed UTF-8 sequence that begins here with a byte above 127, or nil. Table 3-7 of the Unicode
    /// standard.
    private func sequenceLength() -> Int? {
        let lead = peek
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: length = 4
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return nil
        }
        // Behind the line's end `byte(at:)` gives 0, which no range takes.
        guard second.contains(byte(at: position + 1)) else { return nil }
        for index in 2..<max(length, 2) where byte(at: position + index) & 0xC0 != 0x80 { return nil }
        return length
    }

    private mutating func escape(into scratch: inout GrowingBytes) throws(RecordLineError) {
        let start = position
        advance(1)
        let character = peek
        switch character {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(character)
        case UInt8(ascii: "b"): scratch.append(0x08 as UInt8)
        case UInt8(ascii: "f"): scratch.append(0x0C as UInt8)
        case UInt8(ascii: "n"): scratch.append(0x0A as UInt8)
        case UInt8(ascii: "r"): scratch.append(0x0D as UInt8)
        case UInt8(ascii: "t"): scratch.append(0x09 as UInt8)
        case UInt8(ascii: "u"):
            advance(1)
            return try unicodeEscape(start: start, into: &scratch)
        default:
            throw fault(.invalidJSON(expected: "one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u"), at: start)
        }
        advance(1)
    }

    private mutating func unicodeEscape(start: Int, into scratch: inout GrowingBytes) throws(RecordLineError) {
        var value = try hexDigits(start: start)
        if value == 0 { throw fault(.nullCharacter, at: start) }
        if (0xD800...0xDBFF).contains(value) {
            guard take("\\"), take("u") else { throw fault(.loneSurrogate, at: start) }
            let low = try hexDigits(start: position - 2)
            guard (0xDC00...0xDFFF).contains(low) else { throw fault(.loneSurrogate, at: start) }
            value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
        }
        // Only a low surrogate without its high one is left that is no scalar.
        guard let scalar = Unicode.Scalar(value) else { throw fault(.loneSurrogate, at: start) }
        for unit in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { scratch.append(unit) }
    }

    private mutating func hexDigits(start: Int) throws(RecordLineError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            let byte = peek
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw fault(.invalidJSON(expected: "four hexadecimal digits behind \\u"), at: start)
            }
            value = value << 4 | UInt32(digit)
            advance(1)
        }
        return value
    }
}
