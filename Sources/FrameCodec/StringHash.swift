// Hashing, comparing, copying and reading of short byte strings. Most are shorter than 33 bytes, so these are a few loads
// that may overlap, without a loop.

import Glibc

/// A hash of `bytes`. Not cryptographic: with a random seed it keeps hash tables balanced. O(n).
@inlinable @inline(__always)
func stringHash(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
    guard let base = bytes.baseAddress else { return ShortText.empty.hash(seed: seed) }
    let count = bytes.count
    guard count > ShortText.bytesMax else { return ShortText(base, count: count).hash(seed: seed) }
    let state = stringState(count, seed: seed)
    func word(_ offset: Int) -> UInt64 { base.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    var folded = fold(word(0) ^ seed, word(8) ^ state)
    var offset = 16
    while offset &+ 16 < count {
        folded = fold(word(offset) ^ seed, word(offset &+ 8) ^ folded ^ state)
        offset &+= 16
    }
    // The last words may overlap those before them.
    return fold(word(count &- 16) ^ seed ^ folded, word(count &- 8) ^ state)
}

/// What the length gives to a hash: it keeps strings apart whose words are alike. Both factors of a fold depend on the seed, so
/// no sender can make one zero.
@inlinable @inline(__always)
func stringState(_ count: Int, seed: UInt64) -> UInt64 {
    (seed &* 0x9E37_79B9_7F4A_7C15) ^ (UInt64(truncatingIfNeeded: count) &* 0xD6E8_FEB8_6659_FD93)
}

@inlinable @inline(__always)
func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let product = left.multipliedFullWidth(by: right)
    return product.high ^ product.low
}

@inlinable @inline(__always)
func equalBytes(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer?, _ count: Int) -> Bool {
    guard let right else { return count == 0 }
    func differs<Word: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: Word.Type) -> Word {
        left.loadUnaligned(fromByteOffset: offset, as: Word.self)
            ^ right.loadUnaligned(fromByteOffset: offset, as: Word.self)
    }
    if count > 32 { return memcmp(left, right, count) == 0 }
    if count > 16 {
        return differs(0, UInt64.self) | differs(8, UInt64.self) | differs(count &- 16, UInt64.self)
            | differs(count &- 8, UInt64.self) == 0
    }
    if count >= 8 { return differs(0, UInt64.self) | differs(count &- 8, UInt64.self) == 0 }
    if count >= 4 { return differs(0, UInt32.self) | differs(count &- 4, UInt32.self) == 0 }
    guard count > 0 else { return true }
    return differs(0, UInt8.self) | differs(count &- 1, UInt8.self) | differs(count &>> 1, UInt8.self) == 0
}

/// Eight bytes of a text from an offset on, the first one lowest, and zeros behind the text's end. Reads only the text.
@inlinable @inline(__always)
package func paddedWord(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt64 {
    precondition(offset >= 0 && offset <= bytes.count, "the word begins in the text")
    guard let base = bytes.baseAddress else { return 0 }
    let count = bytes.count &- offset
    if count >= 8 { return base.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian }
    if bytes.count >= 8 {
        // The last eight bytes, without those before the offset. A shift by 64 leaves nothing.
        let last = base.loadUnaligned(fromByteOffset: bytes.count &- 8, as: UInt64.self).littleEndian
        return last >> UInt64(truncatingIfNeeded: 8 &* (8 &- count))
    }
    return ShortText.part(base + offset, count)
}

/// Copies a few bytes, most often fewer than 33: a call of memcpy would cost more than they do.
@inlinable @inline(__always)
func copyShort(_ target: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ count: Int) {
    func move<Word: FixedWidthInteger & BitwiseCopyable>(_ type: Word.Type) {
        let last = count &- MemoryLayout<Word>.size
        let (head, tail) = (
            source.loadUnaligned(as: Word.self), source.loadUnaligned(fromByteOffset: last, as: Word.self)
        )
        target.storeBytes(of: head, as: Word.self)
        target.storeBytes(of: tail, toByteOffset: last, as: Word.self)
    }
    if count > 32 {
        memcpy(target, source, count)
    } else if count > 16 {
        typealias Words = SIMD2<UInt64>
        let last = count &- 16
        let (head, tail) = (
            source.loadUnaligned(as: Words.self), source.loadUnaligned(fromByteOffset: last, as: Words.self)
        )
        target.storeBytes(of: head, as: Words.self)
        target.storeBytes(of: tail, toByteOffset: last, as: Words.self)
    } else if count >= 8 {
        move(UInt64.self)
    } else if count >= 4 {
        move(UInt32.self)
    } else if count >= 2 {
        move(UInt16.self)
    } else if count == 1 {
        target.storeBytes(of: source.load(as: UInt8.self), as: UInt8.self)
    }
}

/// The smallest power of two that is at least `value`, and at least 1.
@inlinable @inline(__always)
func nextPowerOfTwo(_ value: Int) -> Int {
    value <= 1 ? 1 : 1 << (Int.bitWidth - (value - 1).leadingZeroBitCount)
}

/// Bytes of a varint.
@inlinable @inline(__always)
func varintLength(_ value: UInt64) -> Int {
    // A seventh of the bits, rounded up, without a division: exact for 1 to 64.
    ((UInt64.bitWidth &- (value | 1).leadingZeroBitCount) &* 9 &+ 64) &>> 6
}
