// Is a text UTF-8 without U+0000? Eight bytes at a time while it is ASCII, which almost all of it is.

/// What is wrong with a text, and where.
@usableFromInline
struct TextFault: Equatable {
    @usableFromInline let reason: FrameError.Reason
    /// The first byte at fault, from the text's start.
    @usableFromInline let offset: Int

    @usableFromInline
    init(_ reason: FrameError.Reason, _ offset: Int) {
        self.reason = reason
        self.offset = offset
    }
}

@usableFromInline
enum TextCheck {
    /// Whether none of a word's bytes is 0 or above 127. Subtracting 1 borrows into the top bit only from a zero byte.
    @inlinable @inline(__always)
    static func isPlain(_ word: UInt64) -> Bool {
        (word | (word &- 0x0101_0101_0101_0101)) & 0x8080_8080_8080_8080 == 0
    }

    /// The first fault of a text, or nil. O(n); reads only `bytes`.
    @inlinable @inline(__always)
    static func fault(in bytes: UnsafeRawBufferPointer) -> TextFault? {
        let count = bytes.count
        guard let base = bytes.baseAddress else { return nil }
        if count >= 8 {
            var plain = true
            var offset = 0
            while offset &+ 8 <= count {
                plain = plain && isPlain(base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                offset &+= 8
            }
            // The last word may overlap the one before it.
            plain = plain && isPlain(base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self))
            if plain { return nil }
        } else if count >= 4 {
            let low = UInt64(base.loadUnaligned(as: UInt32.self))
            let high = UInt64(base.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
            if isPlain(low | high &<< 32) { return nil }
        }
        return scalarFault(in: bytes)
    }

    /// The same byte by byte, after the Unicode standard's table 3-7 of well-formed sequences.
    @usableFromInline
    static func scalarFault(in bytes: UnsafeRawBufferPointer) -> TextFault? {
        var offset = 0
        while offset < bytes.count {
            let lead = bytes[offset]
            if lead < 0x80 {
                if lead == 0 { return TextFault(.nullCharacter, offset) }
                offset += 1
                continue
            }
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
            default: return TextFault(.invalidUTF8, offset)
            }
            guard offset + length <= bytes.count, second.contains(bytes[offset + 1]) else {
                return TextFault(.invalidUTF8, offset)
            }
            for continuation in 2..<max(length, 2) where bytes[offset + continuation] & 0xC0 != 0x80 {
                return TextFault(.invalidUTF8, offset)
            }
            offset += length
        }
        return nil
    }
}
