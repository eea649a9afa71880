// Writes the fields of one record into the block of its kind. Numbers need no check of room: the record's start reserved
// enough for all of them; texts reserve their own.

import Glibc
import MetricKinds

/// The last value of a text with a shared prefix, for each such field of a kind.
@usableFromInline
struct PrefixState {
    @usableFromInline var value = ByteBuffer(capacity: 64)

    @usableFromInline init() {}
}

/// The block of one kind in the frame that is being made.
@usableFromInline
struct BlockState {
    @usableFromInline var records = ByteBuffer(capacity: 2_048)
    @usableFromInline var recordCount = 0
    @usableFromInline var lastTime: Int64 = 0
    @usableFromInline let prefixes: UnsafeMutablePointer<PrefixState>

    @usableFromInline
    init() {
        prefixes = .allocate(capacity: MetricKind.prefixSlotsMax)
        for slot in 0..<MetricKind.prefixSlotsMax { (prefixes + slot).initialize(to: PrefixState()) }
    }

    @usableFromInline
    func deallocate() {
        records.deallocate()
        for slot in 0..<MetricKind.prefixSlotsMax { prefixes[slot].value.deallocate() }
        prefixes.deallocate()
    }
}

/// Takes the fields of the record that is being appended, in their order.
public struct RecordWriter: ~Copyable {
    @usableFromInline var block: UnsafeMutablePointer<BlockState>
    @usableFromInline var strings = StringTable()
    @usableFromInline var presence: UInt64 = 0
    @usableFromInline var expandedBytes = 0
    /// Texts with a shared prefix change the older value only when the record stays: until then they wait here.
    @usableFromInline var pendingPrefixes: UInt64 = 0
    @usableFromInline let pending: UnsafeMutablePointer<ByteBuffer>
    /// A new string did not fit in the dictionary: the record waits for the next frame.
    @usableFromInline var dictionaryFull = false

    /// Room for everything in a record that is not a text: length, bitmap, time, 64 numbers, counts.
    @usableFromInline static var fixedBytesMax: Int { 10 + 8 + 10 + 64 * 10 + 64 }

    init(block: UnsafeMutablePointer<BlockState>) {
        self.block = block
        pending = .allocate(capacity: MetricKind.prefixSlotsMax)
        for slot in 0..<MetricKind.prefixSlotsMax { (pending + slot).initialize(to: ByteBuffer(capacity: 64)) }
    }

    deinit {
        strings.deallocate()
        for slot in 0..<MetricKind.prefixSlotsMax { pending[slot].deallocate() }
        pending.deallocate()
    }

    @inlinable @inline(__always)
    public mutating func bool(_ value: Bool, bit: Int) {
        presence |= (value ? 3 : 1) &<< UInt64(truncatingIfNeeded: bit)
    }

    @inlinable @inline(__always)
    mutating func mark(_ bit: Int) {
        let flag: UInt64 = 1 &<< UInt64(truncatingIfNeeded: bit)
        // Each bit once: so no caller can store more numbers than `fixedBytesMax` has room for.
        precondition(presence & flag == 0, "a field is written once")
        presence |= flag
    }

    @inlinable @inline(__always)
    public mutating func int32(_ value: Int32, bit: Int) {
        mark(bit)
        block.pointee.records.putZigzag(Int64(value))
    }

    @inlinable @inline(__always)
    public mutating func int64(_ value: Int64, bit: Int) {
        mark(bit)
        block.pointee.records.putZigzag(value)
    }

    /// Every NaN is written as the one that the protocol has.
    @inlinable @inline(__always)
    public mutating func float32(_ value: Float, bit: Int) {
        mark(bit)
        block.pointee.records.put(value.isNaN ? 0x7FC0_0000 : value.bitPattern)
    }

    @inlinable @inline(__always)
    public mutating func float64(_ value: Double, bit: Int) {
        mark(bit)
        block.pointee.records.put(value.isNaN ? 0x7FF8_0000_0000_0000 : value.bitPattern)
    }

    /// A text for the dictionary.
    @inlinable @inline(__always)
    public mutating func text(_ value: String, bit: Int) throws(RecordError) {
        try text(value.utf8Span.span.bytes, bit: bit)
    }

    /// A text for the dictionary, as bytes that are UTF-8.
    @inlinable @inline(__always)
    public mutating func text(_ value: RawSpan, bit: Int) throws(RecordError) {
        try Self.checkText(value)
        mark(bit)
        putReference(value)
    }

    /// A text that shares its beginning with the record before.
    @inlinable @inline(__always)
    public mutating func prefixedText(_ value: String, bit: Int, slot: Int) throws(RecordError) {
        try prefixedText(value.utf8Span.span.bytes, bit: bit, slot: slot)
    }

    /// The same as bytes that are UTF-8.
    @inlinable @inline(__always)
    public mutating func prefixedText(_ value: RawSpan, bit: Int, slot: Int) throws(RecordError) {
        precondition(slot >= 0 && slot < MetricKind.prefixSlotsMax)
        try Self.checkText(value)
        mark(bit)
        value.withUnsafeBytes { text in
            let older = block.pointee.prefixes[slot].value
            let limit = min(older.count, text.count)
            var shared = 0
            while shared &+ 8 <= limit {
                let difference =
                    older.base.loadUnaligned(fromByteOffset: shared, as: UInt64.self)
                    ^ text.loadUnaligned(fromByteOffset: shared, as: UInt64.self)
                if difference != 0 {
                    shared &+= UInt64(littleEndian: difference).trailingZeroBitCount / 8
                    break
                }
                shared &+= 8
            }
            // What the words left over, or the same byte again that ended them.
            while shared < limit, older.base.load(fromByteOffset: shared, as: UInt8.self) == text[shared] {
                shared &+= 1
            }
            block.pointee.records.reserve(text.count &+ Self.fixedBytesMax)
            block.pointee.records.putVarint(UInt64(truncatingIfNeeded: shared))
            block.pointee.records.putVarint(UInt64(truncatingIfNeeded: text.count &- shared))
            block.pointee.records.put(UnsafeRawBufferPointer(rebasing: text[shared...]))
            pending[slot].count = 0
            pending[slot].reserve(text.count)
            pending[slot].put(text)
            pendingPrefixes |= 1 &<< UInt64(truncatingIfNeeded: slot)
            expandedBytes &+= text.count
        }
    }

    @inlinable @inline(__always)
    mutating func putReference(_ value: RawSpan) {
        value.withUnsafeBytes { text in
            if let index = strings.index(of: text) {
                block.pointee.records.putVarint(UInt64(truncatingIfNeeded: index))
            } else {
                dictionaryFull = true
            }
            expandedBytes &+= text.count
        }
    }

    @inlinable @inline(__always)
    static func checkText(_ value: RawSpan) throws(RecordError) {
        guard value.byteCount <= FrameLimits.stringBytesMax else { throw .textTooLong(bytes: value.byteCount) }
        if let fault = value.withUnsafeBytes({ TextCheck.fault(in: $0) }) {
            throw fault.reason == .nullCharacter ? .nullCharacter : .invalidUTF8
        }
    }

    // MARK: Before the fields

    mutating func writeTags(_ tags: Tags) throws(RecordError) {
        guard tags.pairs.count <= FrameLimits.tagsPerRecordMax else { throw .tooManyTags(tags.pairs.count) }
        mark(0)
        block.pointee.records.reserve(20 * tags.pairs.count + Self.fixedBytesMax)
        block.pointee.records.putVarint(UInt64(tags.pairs.count))
        for pair in tags.pairs {
            try Self.checkText(pair.key.utf8Span.span.bytes)
            try Self.checkText(pair.value.utf8Span.span.bytes)
            putReference(pair.key.utf8Span.span.bytes)
            putReference(pair.value.utf8Span.span.bytes)
        }
    }

    mutating func writeMetadata(_ metadata: Metadata) {
        mark(1)
        let json = metadata.json.utf8Span.span.bytes
        json.withUnsafeBytes { text in
            block.pointee.records.reserve(text.count + Self.fixedBytesMax)
            block.pointee.records.putVarint(UInt64(text.count))
            block.pointee.records.put(text)
            expandedBytes += text.count
        }
    }
}
