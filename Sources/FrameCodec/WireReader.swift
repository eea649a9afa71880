// Reads items from the bytes of a frame. This is one of the few files with unsafe loads: each stands behind the check of
// `position` against `end`, and `end` never leaves the frame.

/// A place in a frame, and the end that no item may pass: the payload's, a block's or a record's.
@usableFromInline
struct WireReader {
    /// The frame's first byte: positions and the offsets of errors count from it.
    @usableFromInline let base: UnsafeRawPointer
    @usableFromInline var position: Int
    /// Invariant: position <= end <= the frame's length.
    @usableFromInline var end: Int

    @inlinable
    init(_ frame: UnsafeRawBufferPointer, from start: Int, to end: Int) {
        guard let base = frame.baseAddress else { preconditionFailure("a frame is never empty") }
        precondition(0 <= start && start <= end && end <= frame.count)
        self.base = base
        position = start
        self.end = end
    }

    @inlinable @inline(__always)
    mutating func byte() throws(FrameError) -> UInt8 {
        guard position < end else { throw FrameError(.truncated, at: position) }
        let value = base.load(fromByteOffset: position, as: UInt8.self)
        position &+= 1
        return value
    }

    /// An unsigned LEB128 number in its shortest form. At most ten bytes are looked at.
    @inlinable @inline(__always)
    mutating func varint() throws(FrameError) -> UInt64 {
        if position < end {
            let first = base.load(fromByteOffset: position, as: UInt8.self)
            if first < 0x80 {
                position &+= 1
                return UInt64(first)
            }
            if position &+ 1 < end {
                let second = base.load(fromByteOffset: position &+ 1, as: UInt8.self)
                // The second byte ends it and is not an overlong zero.
                if second &- 1 < 0x7F {
                    position &+= 2
                    return UInt64(first & 0x7F) | UInt64(second) &<< 7
                }
            }
        }
        return try longVarint()
    }

    @usableFromInline
    mutating func longVarint() throws(FrameError) -> UInt64 {
        let start = position
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard position < end else { throw FrameError(.truncated, at: start) }
            let byte = base.load(fromByteOffset: position, as: UInt8.self)
            position &+= 1
            // The tenth byte has one bit left to give.
            if shift == 63, byte > 1 { throw FrameError(.varintTooLarge, at: start) }
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 {
                if byte == 0, shift > 0 { throw FrameError(.overlongVarint, at: start) }
                return value
            }
            shift &+= 7
        }
    }

    @inlinable @inline(__always)
    mutating func zigzag() throws(FrameError) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: value &>> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// A varint that is a count or a length: above `limit` it is refused for `reason`.
    @inlinable @inline(__always)
    mutating func count(limit: Int, _ reason: FrameError.Reason) throws(FrameError) -> Int {
        let start = position
        let value = try varint()
        guard value <= UInt64(limit) else { throw FrameError(reason, at: start) }
        return Int(value)
    }

    /// The next bytes, as they lie in the frame.
    @inlinable @inline(__always)
    mutating func bytes(_ count: Int) throws(FrameError) -> UnsafeRawBufferPointer {
        guard count <= end &- position else { throw FrameError(.truncated, at: position) }
        let start = base + position
        position &+= count
        return UnsafeRawBufferPointer(start: start, count: count)
    }

    @inlinable @inline(__always)
    mutating func fixed<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) throws(FrameError) -> T {
        guard MemoryLayout<T>.size <= end &- position else { throw FrameError(.truncated, at: position) }
        let value = base.loadUnaligned(fromByteOffset: position, as: T.self)
        position &+= MemoryLayout<T>.size
        return T(littleEndian: value)
    }

    /// A string, checked: UTF-8 without U+0000, at most `limit` bytes. Faults are at their own byte.
    @inlinable @inline(__always)
    mutating func string(limit: Int) throws(FrameError) -> UnsafeRawBufferPointer {
        let length = try count(limit: limit, .stringTooLong)
        let start = position
        let text = try bytes(length)
        if let fault = TextCheck.fault(in: text) { throw FrameError(fault.reason, at: start &+ fault.offset) }
        return text
    }
}
