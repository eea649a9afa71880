// Memory that grows: where lines are printed and texts are unescaped. Unsafe stores happen here only, each behind
// `reserve`; what is handed out is a span that lives as long as the borrow.

import Glibc

/// A growing run of bytes.
struct GrowingBytes: ~Copyable {
    private(set) var base: UnsafeMutableRawPointer
    private(set) var count = 0
    private var capacity: Int

    init(capacity: Int) {
        self.capacity = max(capacity, 64)
        base = .allocate(byteCount: self.capacity, alignment: 8)
    }

    deinit { base.deallocate() }

    /// All bytes.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// A part of the bytes.
    subscript(range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[range]) }

    /// Forgets all bytes behind the first `newCount`; keeps the memory.
    mutating func truncate(to newCount: Int) {
        precondition(0 <= newCount && newCount <= count)
        count = newCount
    }

    /// Makes room for so many more bytes. Amortised O(1).
    @inline(__always)
    mutating func reserve(_ bytes: Int) {
        if capacity &- count < bytes { grow(bytes) }
    }

    @inline(never)
    private mutating func grow(_ bytes: Int) {
        capacity = max(capacity * 2, count + bytes)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
        memcpy(larger, base, count)
        base.deallocate()
        base = larger
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        reserve(1)
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)
        memcpy(base + count, source, bytes.count)
        count &+= bytes.count
    }

    /// Appends a text. Literals and short ones, such as printed numbers, need no allocation.
    @inline(__always)
    mutating func append(_ text: String) {
        text.utf8Span.span.bytes.withUnsafeBytes { append($0) }
    }

    /// Appends a number with at least so many digits, zeros in front.
    mutating func append(_ value: UInt64, digits: Int) {
        // 20 digits hold every UInt64.
        reserve(20)
        var length = 1
        var rest = value / 10
        while rest > 0 {
            length &+= 1
            rest /= 10
        }
        length = min(max(length, digits), 20)
        var position = count &+ length
        count = position
        rest = value
        for _ in 0..<length {
            position &-= 1
            let digit = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            base.storeBytes(of: digit, toByteOffset: position, as: UInt8.self)
            rest /= 10
        }
    }

    mutating func append(_ value: Int64) {
        if value < 0 { append(UInt8(ascii: "-")) }
        append(value.magnitude, digits: 1)
    }
}
