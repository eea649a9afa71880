// Which bytes of a text cannot stand for themselves in a JSON string: RFC 8259, section 7. Eight bytes at a time.

/// Finds quotes, backslashes and control characters. In UTF-8 they are never part of another character.
@usableFromInline
package enum JSONEscapes {
    @usableFromInline static var ones: UInt64 { 0x0101_0101_0101_0101 }

    /// The lowest mark is the top bit of the first byte that needs an escape; zero if none does. Bytes above it may be
    /// marked without need: a borrow goes up.
    @inlinable @inline(__always)
    package static func marks(_ word: UInt64) -> UInt64 {
        let quotes = word ^ (ones &* 0x22)
        let backslashes = word ^ (ones &* 0x5C)
        // A borrow sets the top bit of a byte below what is subtracted; bytes above 127 need no escape.
        let found =
            ((word &- ones &* 0x20) & ~word) | ((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes)
        return found & (ones &* 0x80)
    }

    /// How many bytes stand before the first one that needs an escape, the lowest byte first; 8 if none does.
    @inlinable @inline(__always)
    package static func plainBytes(_ word: UInt64) -> Int { marks(word).trailingZeroBitCount &>> 3 }
}
