// A text of up to 16 bytes in two registers. Most texts of records are that short (names, ids), and Swift keeps strings of up to 15
// bytes in the value itself: they reach us as two words that were just stored, from which a load that overlaps both would have
// to wait until they have left the processor's store buffer. So nothing here overlaps.

/// Two words, zero behind the text's end.
@usableFromInline
struct ShortText {
    @usableFromInline let low: UInt64
    @usableFromInline let high: UInt64

    @usableFromInline static var bytesMax: Int { 16 }
    @usableFromInline static var empty: ShortText { ShortText(low: 0, high: 0) }

    @inlinable
    init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// - Precondition: at most `bytesMax` bytes. Reads only these.
    @inlinable @inline(__always)
    init(_ base: UnsafeRawPointer, count: Int) {
        if count >= 8 {
            low = base.loadUnaligned(as: UInt64.self)
            high =
                count == 16 ? base.loadUnaligned(fromByteOffset: 8, as: UInt64.self) : Self.part(base + 8, count &- 8)
        } else {
            low = Self.part(base, count)
            high = 0
        }
    }

    /// The same without a branch on the length.
    ///
    /// - Precondition: at most `bytesMax` bytes, and so many can be read.
    @inlinable @inline(__always)
    init(startOf window: UnsafeRawPointer, count: Int) {
        let (first, second) = (
            window.loadUnaligned(as: UInt64.self), window.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        )
        // Shifts by 64 or more leave nothing.
        low = first.littleEndian & ~(UInt64.max << UInt64(truncatingIfNeeded: 8 &* count))
        high = second.littleEndian & ~(UInt64.max << UInt64(truncatingIfNeeded: 8 &* (max(count, 8) &- 8)))
    }

    /// The first `count` bytes, at most seven.
    @inlinable @inline(__always)
    static func part(_ base: UnsafeRawPointer, _ count: Int) -> UInt64 {
        var word: UInt64 = 0
        var offset = 0
        if count & 4 != 0 {
            word = UInt64(base.loadUnaligned(as: UInt32.self).littleEndian)
            offset = 4
        }
        if count & 2 != 0 {
            let two = UInt64(base.loadUnaligned(fromByteOffset: offset, as: UInt16.self).littleEndian)
            word |= two &<< UInt64(8 &* offset)
            offset &+= 2
        }
        if count & 1 != 0 {
            word |= UInt64(base.load(fromByteOffset: offset, as: UInt8.self)) &<< UInt64(8 &* offset)
        }
        return word
    }

    /// Whether all of the text's bytes are ASCII and none is 0.
    @inlinable @inline(__always)
    func isPlain(count: Int) -> Bool {
        // Spaces behind the end.
        let spaces: UInt64 = 0x2020_2020_2020_2020
        let first = count >= 8 ? low : low | spaces &<< UInt64(8 &* count)
        let second = count >= 16 ? high : count >= 8 ? high | spaces &<< UInt64(8 &* (count &- 8)) : spaces
        return TextCheck.isPlain(first) && TextCheck.isPlain(second)
    }

    /// Without the length: strings that differ in nothing else end with U+0000, which no dictionary has.
    @inlinable @inline(__always)
    func hash(seed: UInt64) -> UInt64 { hash(seed: seed, state: stringState(0, seed: seed)) }

    /// The same for one that keeps the state of seed and no length.
    @inlinable @inline(__always)
    func hash(seed: UInt64, state: UInt64) -> UInt64 { fold(low ^ seed, high ^ state) }

    /// The bytes in memory, for what is not worth doing in registers. At most `bytesMax`.
    @inline(__always)
    func withBytes<Result>(count: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(of: (low.littleEndian, high.littleEndian)) {
            body(UnsafeRawBufferPointer(rebasing: $0[..<count]))
        }
    }
}
