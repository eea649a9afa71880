// Hashing of short byte strings for the dictionaries: a multiply and a fold for each eight bytes.

import Glibc

/// A hash of `bytes`. Not cryptographic: with a random seed it keeps hash tables balanced. O(n).
@inlinable @inline(__always)
func stringHash(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
    guard let base = bytes.baseAddress else { return seed }
    let count = bytes.count
    var state = seed ^ (UInt64(truncatingIfNeeded: count) &* 0x9E37_79B9_7F4A_7C15)
    if count >= 8 {
        var offset = 0
        while offset &+ 8 < count {
            state = fold(state ^ base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset &+= 8
        }
        // The last word may overlap the one before it; the length in the state keeps such strings apart.
        return fold(state ^ base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self))
    }
    if count >= 4 {
        let low = UInt64(base.loadUnaligned(as: UInt32.self))
        let high = UInt64(base.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
        return fold(state ^ (low | high &<< 32))
    }
    var word: UInt64 = 0
    for index in 0..<count { word = word &<< 8 | UInt64(bytes[index]) }
    return fold(state ^ word)
}

@inlinable @inline(__always)
func fold(_ word: UInt64) -> UInt64 {
    let product = word.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
    return product.high ^ product.low
}

@inlinable @inline(__always)
func equalBytes(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer?, _ count: Int) -> Bool {
    guard let right else { return count == 0 }
    return memcmp(left, right, count) == 0
}

/// The smallest power of two that is at least `value`, and at least 1.
@inlinable @inline(__always)
func nextPowerOfTwo(_ value: Int) -> Int {
    value <= 1 ? 1 : 1 << (Int.bitWidth - (value - 1).leadingZeroBitCount)
}

/// Bytes of a varint.
@inlinable @inline(__always)
func varintLength(_ value: UInt64) -> Int {
    (UInt64.bitWidth &- (value | 1).leadingZeroBitCount &+ 6) / 7
}
