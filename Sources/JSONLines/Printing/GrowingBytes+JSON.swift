// How JSON's texts and numbers are written.

import FrameCodec

extension GrowingBytes {
    /// Appends a text as a JSON string: quote, backslash and control characters are escaped, everything else stays as
    /// it is.
    @inline(__always)
    mutating func append(quoted text: UnsafeRawBufferPointer) {
        append(UInt8(ascii: "\""))
        if Self.isPlain(text) { append(text) } else { append(escaped: text) }
        append(UInt8(ascii: "\""))
    }

    /// Whether nothing needs an escape: eight bytes at a time.
    @inline(__always)
    private static func isPlain(_ text: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        var marks: UInt64 = 0
        while offset &+ 8 <= text.count {
            marks |= JSONEscapes.marks(text.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset &+= 8
        }
        if marks != 0 { return false }
        while offset < text.count {
            if needsEscape(text[offset]) { return false }
            offset &+= 1
        }
        return true
    }

    @inline(__always)
    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    @inline(never)
    private mutating func append(escaped text: UnsafeRawBufferPointer) {
        var runStart = 0
        for offset in 0..<text.count where Self.needsEscape(text[offset]) {
            append(UnsafeRawBufferPointer(rebasing: text[runStart..<offset]))
            append(escape: text[offset])
            runStart = offset + 1
        }
        append(UnsafeRawBufferPointer(rebasing: text[runStart...]))
    }

    private mutating func append(escape byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        case 0x08: append("\\b")
        case 0x09: append("\\t")
        case 0x0A: append("\\n")
        case 0x0C: append("\\f")
        case 0x0D: append("\\r")
        default:
            append("\\u00")
            append(UInt8(ascii: "0") + byte >> 4)
            let low = byte & 0xF
            append(low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10)
        }
    }

    /// Appends the shortest number that reads back to the same value, or one of the strings NaN, Infinity and
    /// -Infinity.
    @inline(__always)
    mutating func append<Value: BinaryFloatingPoint & CustomStringConvertible>(float value: Value) {
        // Swift's description is the shortest one that reads back, and JSON for every finite value: 5.0, 1e-07, -0.0.
        if value.isFinite {
            append(value.description)
        } else if value.isNaN {
            append("\"NaN\"")
        } else {
            append(value > 0 ? "\"Infinity\"" : "\"-Infinity\"")
        }
    }
}
