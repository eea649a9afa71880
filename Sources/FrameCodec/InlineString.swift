// Swift keeps a string of up to 15 bytes in the value itself, on 64-bit little-endian machines as two words: the bytes in
// order, and in the last byte what the string is and how many there are. Most texts of records are that short, and taking
// the words as they are spares putting them into memory and fetching them from there. The language does not promise it: it
// is looked at once, by `mask`, and where strings are made in another way, the mask matches none.

/// The two words of a string, whatever they mean.
@usableFromInline
struct InlineString {
    @usableFromInline let low: UInt64
    @usableFromInline let high: UInt64

    @inlinable @inline(__always)
    init(_ value: borrowing String) {
        // Known when this is compiled; a cast between sizes that differ would trap.
        let isTwoWords = MemoryLayout<String>.size == 16
        (low, high) = isTwoWords ? unsafeBitCast(copy value, to: (UInt64, UInt64).self) : (0, 0)
    }

    /// How many bytes there are, if the string is one that the mask matches.
    @inlinable @inline(__always)
    var count: Int { Int(truncatingIfNeeded: high &>> 56) & 15 }

    /// The bytes, if the string is one that the mask matches.
    @inlinable @inline(__always)
    var text: ShortText { ShortText(low: low, high: high & 0x00FF_FFFF_FFFF_FFFF) }

    /// The bit of `high` that tells strings kept in the value from others; zero if this program's Swift has it otherwise.
    static let mask: UInt64 = isAsExpected ? 1 << 61 : 0

    private static var isAsExpected: Bool {
        guard MemoryLayout<String>.size == 16, 1.littleEndian == 1 else { return false }
        for count in 0...32 {
            for first: Unicode.Scalar in ["a", "\u{E9}", "\u{20AC}", "\u{1F600}"] {
                var string = ""
                string.unicodeScalars.append(first)
                guard string.utf8.count <= count else { continue }
                while string.utf8.count < count { string.append("z") }
                let words = InlineString(string)
                guard (words.high &>> 61 & 1 == 1) == (count <= 15) else { return false }
                guard count <= 15 else { continue }
                let bytes = Array(string.utf8)
                let text = bytes.withUnsafeBytes { $0.baseAddress.map { ShortText($0, count: count) } }
                guard let text, words.count == count, words.text.low == text.low, words.text.high == text.high else {
                    return false
                }
            }
        }
        return true
    }
}
