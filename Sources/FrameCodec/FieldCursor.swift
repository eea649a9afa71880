// Where the next byte of a record goes, and which of its fields have come. A value of two words, apart from the writer: while
// the fields of a record are written one behind the other both stay in registers. Through memory each field would wait for
// the store of the one before it.
//
// Numbers need no check of room: the record's start reserved enough for all of them, see `RecordWriter.fixedBytesMax`.

@usableFromInline
struct FieldCursor {
    @usableFromInline var next: UnsafeMutableRawPointer
    @usableFromInline var presence: UInt64

    @inlinable @inline(__always)
    init(_ next: UnsafeMutableRawPointer, presence: UInt64 = 0) {
        self.next = next
        self.presence = presence
    }

    // MARK: Bytes

    @inlinable @inline(__always)
    mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        next.storeBytes(of: value.littleEndian, as: T.self)
        next += MemoryLayout<T>.size
    }

    /// A varint below 2^14, without a branch. The byte behind a single one is written too, so nothing may be there yet.
    @inlinable @inline(__always)
    mutating func putShortVarint(_ value: UInt32) {
        let more: UInt32 = value >= 0x80 ? 1 : 0
        // The upper seven bits move up by one.
        let spread = value &+ (value & 0x3F80) | more &<< 7
        next.storeBytes(of: UInt16(truncatingIfNeeded: spread).littleEndian, as: UInt16.self)
        next += 1 &+ Int(truncatingIfNeeded: more)
    }

    /// At most five bytes. Those below 2^14, and those below 2^28, without a branch that depends on how long they are; up to
    /// three bytes behind the varint are written too, so nothing may be there yet.
    @inlinable @inline(__always)
    mutating func putVarint(_ value: UInt32) {
        guard value >= 1 << 14 else { return putShortVarint(value) }
        guard value >= 1 << 28 else {
            let length = varintLength(UInt64(value))
            let spread =
                (value & 0x7F) | (value & 0x3F80) &<< 1 | (value & 0x1F_C000) &<< 2 | (value & 0xFE0_0000) &<< 3
            // Every byte but the last says that another one follows.
            let more = 0x0080_8080 & ((1 as UInt32) &<< UInt32(truncatingIfNeeded: 8 &* (length &- 1)) &- 1)
            next.storeBytes(of: (spread | more).littleEndian, as: UInt32.self)
            next += length
            return
        }
        next = Self.putLongVarint(UInt64(value), at: next)
    }

    /// At most ten bytes; otherwise the same.
    @inlinable @inline(__always)
    mutating func putVarint(_ value: UInt64) {
        guard value >= 1 << 28 else { return putVarint(UInt32(truncatingIfNeeded: value)) }
        next = Self.putLongVarint(value, at: next)
    }

    /// Writes nothing behind the varint.
    ///
    /// - Returns: its end.
    @usableFromInline @inline(never)
    static func putLongVarint(_ value: UInt64, at start: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        var next = start
        var rest = value
        while rest >= 0x80 {
            next.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
            next += 1
            rest &>>= 7
        }
        next.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        return next + 1
    }

    @inlinable @inline(__always)
    mutating func putZigzag(_ value: Int32) {
        putVarint(UInt32(bitPattern: value &<< 1) ^ UInt32(bitPattern: value &>> 31))
    }

    @inlinable @inline(__always)
    mutating func putZigzag(_ value: Int64) {
        putVarint(UInt64(bitPattern: value &<< 1) ^ UInt64(bitPattern: value &>> 63))
    }

    /// A text, behind `RecordWriter.reserve`.
    @inlinable @inline(__always)
    mutating func put(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        copyShort(next, source, bytes.count)
        next += bytes.count
    }

    // MARK: Fields

    /// For the generated code, which has each bit once, behind `RecordWriter.beginFields`.
    @inlinable @inline(__always)
    mutating func mark(_ bit: Int) { presence |= 1 &<< UInt64(truncatingIfNeeded: bit) }

    /// For everybody else: so no caller can store more numbers than `fixedBytesMax` has room for.
    @inlinable @inline(__always)
    func checkIsNew(_ bit: Int) {
        precondition(presence & 1 &<< UInt64(truncatingIfNeeded: bit) == 0, "a field is written once")
    }

    @inlinable @inline(__always)
    mutating func bool(_ value: Bool, bit: Int) {
        presence |= (value ? 3 : 1) &<< UInt64(truncatingIfNeeded: bit)
    }

    @inlinable @inline(__always)
    mutating func int32(_ value: Int32, bit: Int) {
        mark(bit)
        putZigzag(value)
    }

    @inlinable @inline(__always)
    mutating func int64(_ value: Int64, bit: Int) {
        mark(bit)
        putZigzag(value)
    }

    /// Every NaN is written as the one that the protocol has.
    @inlinable @inline(__always)
    mutating func float32(_ value: Float, bit: Int) {
        mark(bit)
        put(value.isNaN ? 0x7FC0_0000 : value.bitPattern)
    }

    @inlinable @inline(__always)
    mutating func float64(_ value: Double, bit: Int) {
        mark(bit)
        put(value.isNaN ? 0x7FF8_0000_0000_0000 : value.bitPattern)
    }
}
