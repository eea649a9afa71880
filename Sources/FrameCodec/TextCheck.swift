// Is a text UTF-8 without U+0000? A look at its words tells whether it is all ASCII, as most texts are. Any other text
// goes through a table, byte by byte without a branch; and only one with a fault is read again, to say where.

/// What is wrong with a text, and where.
@usableFromInline
struct TextFault: Error, Equatable {
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
    /// The top bit of a byte is set if the byte is above 127, or if one of the word's is 0: subtracting 1 borrows into the top
    /// bit only from a zero byte. The other bits have no meaning.
    @inlinable @inline(__always)
    static func notPlain(_ word: UInt64) -> UInt64 { word | (word &- 0x0101_0101_0101_0101) }

    /// Whether none of a word's bytes is 0 or above 127.
    @inlinable @inline(__always)
    static func isPlain(_ word: UInt64) -> Bool { notPlain(word) & 0x8080_8080_8080_8080 == 0 }

    /// The first fault of a text, or nil. O(n); reads only `bytes`.
    @inlinable @inline(__always)
    static func fault(in bytes: UnsafeRawBufferPointer) -> TextFault? {
        let count = bytes.count
        guard let base = bytes.baseAddress else { return nil }
        if count >= 8 {
            func look(_ offset: Int) -> UInt64 {
                notPlain(base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            }
            // The last words may overlap those before them.
            var found = look(0) | look(count &- 8)
            if count > 16 { found |= look(8) | look(count &- 16) }
            var offset = 16
            while offset &+ 16 < count {
                found |= look(offset) | look(offset &+ 8)
                offset &+= 16
            }
            if found & 0x8080_8080_8080_8080 == 0 { return nil }
        } else if count >= 4 {
            let low = UInt64(base.loadUnaligned(as: UInt32.self))
            let high = UInt64(base.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
            if isPlain(low | high &<< 32) { return nil }
        }
        return sequenceFault(in: bytes)
    }

    /// The same for a text that is not all ASCII. Where its sequences end cannot be foreseen, so nothing branches on it;
    /// only runs of ASCII are passed over.
    @usableFromInline
    static func sequenceFault(in bytes: UnsafeRawBufferPointer) -> TextFault? {
        guard let base = bytes.baseAddress else { return nil }
        let count = bytes.count
        let isWellFormed = UTF8State.steps.withUnsafeBufferPointer { steps in
            var state = UTF8State.start.rawValue
            // There is a word for each byte.
            func step(_ offset: Int) {
                state = steps[Int(base.load(fromByteOffset: offset, as: UInt8.self))] &>> state
            }
            var offset = 0
            while offset &+ 32 <= count {
                func look(_ place: Int) -> UInt64 {
                    notPlain(base.loadUnaligned(fromByteOffset: offset &+ place, as: UInt64.self))
                }
                let found = (look(0) | look(8) | look(16) | look(24)) & 0x8080_8080_8080_8080
                if found != 0 || !UTF8State.isStart(state) {
                    for place in 0..<32 { step(offset &+ place) }
                }
                offset &+= 32
            }
            while offset < count {
                step(offset)
                offset &+= 1
            }
            return UTF8State.isStart(state)
        }
        return isWellFormed ? nil : scalarFault(in: bytes)
    }

    /// The same with branches, after the Unicode standard's table 3-7 of well-formed sequences.
    private static func scalarFault(in bytes: UnsafeRawBufferPointer) -> TextFault? {
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
