// Memory that grows: where frames are made. One of the few files with unsafe stores: each stands behind `reserve`.

import Glibc

/// A growing run of bytes with unchecked stores behind a reservation.
@usableFromInline
struct ByteBuffer {
    @usableFromInline var base: UnsafeMutableRawPointer
    @usableFromInline var count = 0
    @usableFromInline var capacity: Int

    @usableFromInline
    init(capacity: Int) {
        self.capacity = capacity
        base = .allocate(byteCount: capacity, alignment: 8)
    }

    @usableFromInline
    func deallocate() { base.deallocate() }

    /// Makes room for so many bytes behind `count`. Amortised O(1).
    @inlinable @inline(__always)
    mutating func reserve(_ bytes: Int) {
        if capacity &- count < bytes { grow(bytes) }
    }

    @usableFromInline
    mutating func grow(_ bytes: Int) {
        capacity = max(capacity * 2, count + bytes)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
        memcpy(larger, base, count)
        base.deallocate()
        base = larger
    }

    // MARK: Stores behind a reservation

    @inlinable @inline(__always)
    mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        base.storeBytes(of: value.littleEndian, toByteOffset: count, as: T.self)
        count &+= MemoryLayout<T>.size
    }

    /// At most ten bytes.
    @inlinable @inline(__always)
    mutating func putVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            base.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: count, as: UInt8.self)
            count &+= 1
            rest &>>= 7
        }
        base.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    /// A varint that was put, and what follows it.
    func varint(at offset: inout Int) -> Int {
        var value = 0
        var shift = 0
        while true {
            let byte = Int(base.load(fromByteOffset: offset, as: UInt8.self))
            offset += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    /// Bytes that are few, most often.
    @inlinable @inline(__always)
    mutating func putShort(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        copyShort(base + count, source, bytes.count)
        count &+= bytes.count
    }

    @inlinable @inline(__always)
    mutating func put(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        memcpy(base + count, source, bytes.count)
        count &+= bytes.count
    }
}
