// Writes the fields of one record into the block of its kind. Numbers need no check of room: the record's start reserved
// enough for all of them; texts reserve their own.
//
// Invariant: while a record is written, `cursor` is the end of its block and the block's own count is that of its start; at
// most `fixedBytesMax` bytes, and what a text has reserved beside them, go behind the start before the next reservation.

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
    /// Where the next byte goes. Beside the block and not in it, so that it can stay in a register.
    @usableFromInline var cursor: UnsafeMutableRawPointer
    @usableFromInline var strings = StringTable()
    @usableFromInline var presence: UInt64 = 0
    @usableFromInline var expandedBytes = 0
    /// Texts with a shared prefix change the older value only when the record stays: until then they wait here.
    @usableFromInline var pendingPrefixes: UInt64 = 0
    @usableFromInline let pending: UnsafeMutablePointer<ByteBuffer>
    /// What was wrong with the last text that was refused.
    @usableFromInline var fault = RecordError.invalidUTF8
    /// A new string did not fit in the dictionary: the record waits for the next frame.
    @usableFromInline var dictionaryFull = false
    /// `InlineString.mask`.
    @usableFromInline let inlineMask = InlineString.mask

    /// Room for everything in a record that is not a long text: length, bitmap, time, 64 numbers or references, counts,
    /// and the texts with a shared prefix that need no reservation of their own.
    @usableFromInline static var fixedBytesMax: Int {
        10 + 8 + 10 + 64 * 10 + 64 + MetricKind.prefixSlotsMax * ShortText.bytesMax
    }

    init(block: UnsafeMutablePointer<BlockState>) {
        self.block = block
        cursor = block.pointee.records.base
        pending = .allocate(capacity: MetricKind.prefixSlotsMax)
        for slot in 0..<MetricKind.prefixSlotsMax { (pending + slot).initialize(to: ByteBuffer(capacity: 64)) }
    }

    deinit {
        strings.deallocate()
        for slot in 0..<MetricKind.prefixSlotsMax { pending[slot].deallocate() }
        pending.deallocate()
    }

    // MARK: Bytes

    /// Makes room for a text of so many bytes, and for every number that may follow.
    @inlinable @inline(__always)
    mutating func reserve(textBytes: Int) {
        let records = block.pointee.records
        if records.base + records.capacity - cursor < textBytes &+ Self.fixedBytesMax { grow(textBytes: textBytes) }
    }

    @usableFromInline @inline(never)
    mutating func grow(textBytes: Int) {
        let written = cursor - block.pointee.records.base
        let start = block.pointee.records.count
        block.pointee.records.count = written
        block.pointee.records.grow(textBytes + Self.fixedBytesMax)
        block.pointee.records.count = start
        cursor = block.pointee.records.base + written
    }

    @inlinable @inline(__always)
    mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        cursor.storeBytes(of: value.littleEndian, as: T.self)
        cursor += MemoryLayout<T>.size
    }

    /// A varint below 2^14, without a branch. The byte behind a single one is written too, so nothing may be there yet.
    @inlinable @inline(__always)
    mutating func putShortVarint(_ value: UInt64) {
        let word = UInt32(truncatingIfNeeded: value)
        let more: UInt32 = word >= 0x80 ? 1 : 0
        // The upper seven bits move up by one.
        let spread = word &+ (word & 0x3F80) | more &<< 7
        cursor.storeBytes(of: UInt16(truncatingIfNeeded: spread).littleEndian, as: UInt16.self)
        cursor += 1 &+ Int(truncatingIfNeeded: more)
    }

    /// At most ten bytes. Those below 2^14, and those below 2^28, without a branch that depends on how long they are; up to
    /// three bytes behind the varint are written too, so nothing may be there yet.
    @inlinable @inline(__always)
    mutating func putVarint(_ value: UInt64) {
        guard value >= 1 << 14 else { return putShortVarint(value) }
        guard value >= 1 << 28 else {
            let word = UInt32(truncatingIfNeeded: value)
            let length = varintLength(value)
            let spread = (word & 0x7F) | (word & 0x3F80) &<< 1 | (word & 0x1F_C000) &<< 2 | (word & 0xFE0_0000) &<< 3
            // Every byte but the last says that another one follows.
            let more = 0x0080_8080 & ((1 as UInt32) &<< UInt32(truncatingIfNeeded: 8 &* (length &- 1)) &- 1)
            cursor.storeBytes(of: (spread | more).littleEndian, as: UInt32.self)
            cursor += length
            return
        }
        putLongVarint(value)
    }

    /// Writes nothing behind the varint.
    @usableFromInline
    mutating func putLongVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            cursor.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
            cursor += 1
            rest &>>= 7
        }
        cursor.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        cursor += 1
    }

    @inlinable @inline(__always)
    mutating func putZigzag(_ value: Int64) {
        putVarint(UInt64(bitPattern: value &<< 1) ^ UInt64(bitPattern: value &>> 63))
    }

    /// Behind `reserve(textBytes:)`.
    @inlinable @inline(__always)
    mutating func putText(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        copyShort(cursor, source, bytes.count)
        cursor += bytes.count
    }

    // MARK: Fields

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
        putZigzag(Int64(value))
    }

    @inlinable @inline(__always)
    public mutating func int64(_ value: Int64, bit: Int) {
        mark(bit)
        putZigzag(value)
    }

    /// Every NaN is written as the one that the protocol has.
    @inlinable @inline(__always)
    public mutating func float32(_ value: Float, bit: Int) {
        mark(bit)
        put(value.isNaN ? 0x7FC0_0000 : value.bitPattern)
    }

    @inlinable @inline(__always)
    public mutating func float64(_ value: Double, bit: Int) {
        mark(bit)
        put(value.isNaN ? 0x7FF8_0000_0000_0000 : value.bitPattern)
    }

    /// A text for the dictionary.
    @inlinable @inline(__always)
    public mutating func text(_ value: String, bit: Int) throws(RecordError) {
        mark(bit)
        let inline = InlineString(value)
        if inline.high & inlineMask != 0 {
            guard putReference(inline.text, count: inline.count) else { throw fault }
        } else {
            guard withUTF8Bytes(of: value, { putReference($0) }) else { throw fault }
        }
    }

    /// A text for the dictionary, as bytes that are UTF-8.
    @inlinable @inline(__always)
    public mutating func text(_ value: RawSpan, bit: Int) throws(RecordError) {
        mark(bit)
        guard value.withUnsafeBytes({ putReference($0) }) else { throw fault }
    }

    /// A text that shares its beginning with the record before.
    @inlinable @inline(__always)
    public mutating func prefixedText(_ value: String, bit: Int, slot: Int) throws(RecordError) {
        mark(bit)
        let inline = InlineString(value)
        if inline.high & inlineMask != 0 {
            guard putPrefixed(inline.text, count: inline.count, slot: slot) else { throw fault }
        } else {
            guard withUTF8Bytes(of: value, { putPrefixed($0, slot: slot) }) else { throw fault }
        }
    }

    /// The same as bytes that are UTF-8.
    @inlinable @inline(__always)
    public mutating func prefixedText(_ value: RawSpan, bit: Int, slot: Int) throws(RecordError) {
        mark(bit)
        guard value.withUnsafeBytes({ putPrefixed($0, slot: slot) }) else { throw fault }
    }

    /// - Returns: false if something is wrong with the text, which `fault` says; then nothing was written. (An error as
    ///   the result would be written and read through memory for each text.)
    @usableFromInline
    mutating func putPrefixed(_ text: UnsafeRawBufferPointer, slot: Int) -> Bool {
        precondition(slot >= 0 && slot < MetricKind.prefixSlotsMax)
        guard let base = text.baseAddress, text.count <= ShortText.bytesMax else { return putLongPrefixed(text, slot) }
        return putPrefixed(ShortText(base, count: text.count), count: text.count, slot: slot)
    }

    /// A text of at most `ShortText.bytesMax` bytes.
    @usableFromInline
    mutating func putPrefixed(_ short: ShortText, count: Int, slot: Int) -> Bool {
        precondition(slot >= 0 && slot < MetricKind.prefixSlotsMax)
        // Each slot once: `fixedBytesMax` has room for one such text in each.
        precondition(pendingPrefixes & 1 &<< UInt64(truncatingIfNeeded: slot) == 0, "a slot is written once")
        guard short.isPlain(count: count) || short.withBytes(count: count, { check($0) }) else { return false }
        // Its buffer is never shorter than two words.
        let older = block.pointee.prefixes[slot].value
        let low = short.low ^ older.base.loadUnaligned(as: UInt64.self).littleEndian
        let high = short.high ^ older.base.loadUnaligned(fromByteOffset: 8, as: UInt64.self).littleEndian
        let same = (low != 0 ? low.trailingZeroBitCount : 64 &+ high.trailingZeroBitCount) &>> 3
        let shared = min(same, min(older.count, count))
        let rest = count &- shared
        // Two varints of a byte each, and two words of which the first bytes are the text's rest: nothing is behind them yet,
        // and `fixedBytesMax` has room for them.
        put(UInt16(truncatingIfNeeded: shared | rest &<< 8))
        let words = (UInt128(short.high) &<< 64 | UInt128(short.low)) &>> UInt128(truncatingIfNeeded: 8 &* shared)
        cursor.storeBytes(of: UInt64(truncatingIfNeeded: words).littleEndian, as: UInt64.self)
        cursor.storeBytes(of: UInt64(truncatingIfNeeded: words &>> 64).littleEndian, toByteOffset: 8, as: UInt64.self)
        cursor += rest
        let newer = pending + slot
        newer.pointee.base.storeBytes(of: short.low.littleEndian, as: UInt64.self)
        newer.pointee.base.storeBytes(of: short.high.littleEndian, toByteOffset: 8, as: UInt64.self)
        newer.pointee.count = count
        pendingPrefixes |= 1 &<< UInt64(truncatingIfNeeded: slot)
        expandedBytes &+= count
        return true
    }

    @usableFromInline
    mutating func putLongPrefixed(_ text: UnsafeRawBufferPointer, _ slot: Int) -> Bool {
        guard check(text) else { return false }
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
        reserve(textBytes: text.count)
        putVarint(UInt64(truncatingIfNeeded: shared))
        putVarint(UInt64(truncatingIfNeeded: text.count &- shared))
        putText(UnsafeRawBufferPointer(rebasing: text[shared...]))
        pending[slot].count = 0
        pending[slot].reserve(text.count)
        pending[slot].put(text)
        pendingPrefixes |= 1 &<< UInt64(truncatingIfNeeded: slot)
        expandedBytes &+= text.count
        return true
    }

    /// - Returns: false if something is wrong with the text, which `fault` says; then nothing was written. (An error as
    ///   the result would be written and read through memory for each text.)
    @usableFromInline
    mutating func putReference(_ text: UnsafeRawBufferPointer) -> Bool {
        if text.count <= ShortText.bytesMax {
            let short = text.baseAddress.map { ShortText($0, count: text.count) } ?? ShortText.empty
            return putReference(short, count: text.count)
        }
        let hash = stringHash(text, seed: strings.seed)
        switch strings.find(text, hash: hash) {
        case .at(let index): putIndex(index)
        case .free(let slot): guard putNew(text, hash: hash, slot: slot) else { return false }
        }
        expandedBytes &+= text.count
        return true
    }

    /// A text of at most `ShortText.bytesMax` bytes.
    @usableFromInline
    mutating func putReference(_ short: ShortText, count: Int) -> Bool {
        let hash = short.hash(seed: strings.seed)
        switch strings.find(short, count: count, hash: hash) {
        case .at(let index): putIndex(index)
        case .free(let slot):
            guard short.withBytes(count: count, { putNew($0, hash: hash, slot: slot) }) else { return false }
        }
        expandedBytes &+= count
        return true
    }

    /// What is in the dictionary was checked when it came.
    @inline(__always)
    private mutating func putIndex(_ index: Int) {
        assert(index < FrameLimits.stringsPerDictionaryMax && FrameLimits.stringsPerDictionaryMax <= 1 << 14)
        putShortVarint(UInt64(truncatingIfNeeded: index))
    }

    @inline(never)
    private mutating func putNew(_ text: UnsafeRawBufferPointer, hash: UInt64, slot: Int) -> Bool {
        guard check(text) else { return false }
        if let index = strings.add(text, hash: hash, slot: slot) { putIndex(index) } else { dictionaryFull = true }
        return true
    }

    @inlinable @inline(__always)
    mutating func check(_ text: UnsafeRawBufferPointer) -> Bool {
        if text.count <= FrameLimits.stringBytesMax, TextCheck.fault(in: text) == nil { return true }
        note(text)
        return false
    }

    @usableFromInline
    mutating func note(_ text: UnsafeRawBufferPointer) {
        if text.count > FrameLimits.stringBytesMax {
            fault = .textTooLong(bytes: text.count)
        } else {
            fault = TextCheck.fault(in: text)?.reason == .nullCharacter ? .nullCharacter : .invalidUTF8
        }
    }

    // MARK: Before the fields

    @usableFromInline
    mutating func writeTags(_ tags: Tags) throws(RecordError) {
        guard tags.pairs.count <= FrameLimits.tagsPerRecordMax else { throw .tooManyTags(tags.pairs.count) }
        mark(0)
        reserve(textBytes: 20 * tags.pairs.count)
        putVarint(UInt64(tags.pairs.count))
        for pair in tags.pairs {
            guard withUTF8Bytes(of: pair.key, { putReference($0) }) else { throw fault }
            guard withUTF8Bytes(of: pair.value, { putReference($0) }) else { throw fault }
        }
    }

    @usableFromInline
    mutating func writeMetadata(_ metadata: Metadata) {
        mark(1)
        let json = metadata.json.utf8Span.span.bytes
        json.withUnsafeBytes { text in
            reserve(textBytes: text.count)
            putVarint(UInt64(text.count))
            putText(text)
            expandedBytes += text.count
        }
    }
}

/// A string's bytes, where they lie. (`utf8Span` is not inlined, and this is called for each text of a record.)
@inlinable @inline(__always)
func withUTF8Bytes<Result>(of value: borrowing String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    if let result = value.utf8.withContiguousStorageIfAvailable({ body(UnsafeRawBufferPointer($0)) }) { return result }
    return value.utf8Span.span.bytes.withUnsafeBytes { body($0) }
}
