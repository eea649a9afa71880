// Writes the fields of one record into the block of its kind: numbers by its cursor alone, texts with the frame's dictionary and
// the block's older values.
//
// Invariant: while a record is written, `fields.next` is the end of its block and the block's own count is that of its start;
// at most `fixedBytesMax` bytes, and what a text has reserved beside them, go behind the start before the next reservation.

import Glibc
import MetricKinds

/// Takes the fields of the record that is being appended, in their order.
public struct RecordWriter: ~Copyable {
    @usableFromInline var block: UnsafeMutablePointer<BlockState>
    /// Of the record that is written; the generated code works on a copy, which it puts back however it ends.
    @usableFromInline var fields: FieldCursor
    @usableFromInline var strings = StringTable()
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
        fields = FieldCursor(block.pointee.records.base)
        pending = .allocate(capacity: MetricKind.prefixSlotsMax)
        for slot in 0..<MetricKind.prefixSlotsMax { (pending + slot).initialize(to: ByteBuffer(capacity: 64)) }
    }

    deinit {
        strings.deallocate()
        for slot in 0..<MetricKind.prefixSlotsMax { pending[slot].deallocate() }
        pending.deallocate()
    }

    // MARK: Room

    /// Makes room for a text of so many bytes, and for every number that may follow.
    ///
    /// - Returns: where the record goes on, which is elsewhere when the block has moved.
    @inlinable @inline(__always)
    mutating func reserve(textBytes: Int, at next: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        let records = block.pointee.records
        let isEnough = records.base + records.capacity - next >= textBytes &+ Self.fixedBytesMax
        return isEnough ? next : grow(textBytes: textBytes, at: next)
    }

    @usableFromInline @inline(never)
    mutating func grow(textBytes: Int, at next: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        let written = next - block.pointee.records.base
        let start = block.pointee.records.count
        block.pointee.records.count = written
        block.pointee.records.grow(textBytes + Self.fixedBytesMax)
        block.pointee.records.count = start
        return block.pointee.records.base + written
    }

    // MARK: Fields

    /// What the generated code writes all fields of a record with, each once: no field may be there yet, only tags and
    /// metadata, or there might be more numbers than `fixedBytesMax` has room for.
    @inlinable @inline(__always)
    func beginFields() -> FieldCursor {
        precondition(fields.presence & ~0b11 == 0, "a record's fields are written once")
        return fields
    }

    @inlinable @inline(__always)
    public mutating func bool(_ value: Bool, bit: Int) { fields.bool(value, bit: bit) }

    @inlinable @inline(__always)
    public mutating func int32(_ value: Int32, bit: Int) {
        fields.checkIsNew(bit)
        fields.int32(value, bit: bit)
    }

    @inlinable @inline(__always)
    public mutating func int64(_ value: Int64, bit: Int) {
        fields.checkIsNew(bit)
        fields.int64(value, bit: bit)
    }

    /// Every NaN is written as the one that the protocol has.
    @inlinable @inline(__always)
    public mutating func float32(_ value: Float, bit: Int) {
        fields.checkIsNew(bit)
        fields.float32(value, bit: bit)
    }

    @inlinable @inline(__always)
    public mutating func float64(_ value: Double, bit: Int) {
        fields.checkIsNew(bit)
        fields.float64(value, bit: bit)
    }

    /// A text for the dictionary.
    @inlinable @inline(__always)
    public mutating func text(_ value: String, bit: Int) throws(RecordError) {
        fields.checkIsNew(bit)
        var fields = fields
        try text(value, bit: bit, &fields)
        self.fields = fields
    }

    @inlinable @inline(__always)
    mutating func text(_ value: String, bit: Int, _ fields: inout FieldCursor) throws(RecordError) {
        let inline = InlineString(value)
        let start = fields.next
        let next =
            inline.high & inlineMask != 0
            ? putReference(inline.text, count: inline.count, at: start)
            : withUTF8Bytes(of: value) { putReference($0, at: start) }
        guard let next else { throw fault }
        fields.mark(bit)
        fields.next = next
    }

    /// A text for the dictionary, as bytes that are UTF-8.
    @inlinable @inline(__always)
    public mutating func text(_ value: RawSpan, bit: Int) throws(RecordError) {
        fields.checkIsNew(bit)
        let start = fields.next
        guard let next = value.withUnsafeBytes({ putReference($0, at: start) }) else { throw fault }
        fields.mark(bit)
        fields.next = next
    }

    /// A text that shares its beginning with the record before.
    @inlinable @inline(__always)
    public mutating func prefixedText(_ value: String, bit: Int, slot: Int) throws(RecordError) {
        fields.checkIsNew(bit)
        var fields = fields
        try prefixedText(value, bit: bit, slot: slot, &fields)
        self.fields = fields
    }

    @inlinable @inline(__always)
    mutating func prefixedText(
        _ value: String, bit: Int, slot: Int, _ fields: inout FieldCursor
    ) throws(RecordError) {
        let inline = InlineString(value)
        let start = fields.next
        let next =
            inline.high & inlineMask != 0
            ? putPrefixed(inline.text, count: inline.count, slot: slot, at: start)
            : withUTF8Bytes(of: value) { putPrefixed($0, slot: slot, at: start) }
        guard let next else { throw fault }
        fields.mark(bit)
        fields.next = next
    }

    /// The same as bytes that are UTF-8.
    @inlinable @inline(__always)
    public mutating func prefixedText(_ value: RawSpan, bit: Int, slot: Int) throws(RecordError) {
        fields.checkIsNew(bit)
        let start = fields.next
        guard let next = value.withUnsafeBytes({ putPrefixed($0, slot: slot, at: start) }) else { throw fault }
        fields.mark(bit)
        fields.next = next
    }

    // MARK: Texts with a shared prefix

    /// - Returns: where the record goes on; nil if something is wrong with the text, which `fault` says: then nothing was
    ///   written. (An error as the result would be written and read through memory for each text.)
    @usableFromInline
    mutating func putPrefixed(
        _ text: UnsafeRawBufferPointer, slot: Int, at start: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer? {
        precondition(slot >= 0 && slot < MetricKind.prefixSlotsMax)
        guard let base = text.baseAddress, text.count <= ShortText.bytesMax else {
            return putLongPrefixed(text, slot, at: start)
        }
        return putPrefixed(ShortText(base, count: text.count), count: text.count, slot: slot, at: start)
    }

    /// A text of at most `ShortText.bytesMax` bytes.
    @usableFromInline
    mutating func putPrefixed(
        _ short: ShortText, count: Int, slot: Int, at start: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer? {
        precondition(slot >= 0 && slot < MetricKind.prefixSlotsMax)
        // Each slot once: `fixedBytesMax` has room for one such text in each.
        precondition(pendingPrefixes & 1 &<< UInt64(truncatingIfNeeded: slot) == 0, "a slot is written once")
        guard short.isPlain(count: count) || check(short, count: count) else { return nil }
        // Its buffer is never shorter than two words.
        let older = block.pointee.prefixes[slot].value
        let low = short.low ^ older.base.loadUnaligned(as: UInt64.self).littleEndian
        let high = short.high ^ older.base.loadUnaligned(fromByteOffset: 8, as: UInt64.self).littleEndian
        let same = (low != 0 ? low.trailingZeroBitCount : 64 &+ high.trailingZeroBitCount) &>> 3
        let shared = min(same, min(older.count, count))
        let rest = count &- shared
        // Two varints of a byte each, and two words of which the first bytes are the text's rest: nothing is behind them yet,
        // and `fixedBytesMax` has room for them.
        var cursor = FieldCursor(start)
        cursor.put(UInt16(truncatingIfNeeded: shared | rest &<< 8))
        let words = (UInt128(short.high) &<< 64 | UInt128(short.low)) &>> UInt128(truncatingIfNeeded: 8 &* shared)
        cursor.next.storeBytes(of: UInt64(truncatingIfNeeded: words).littleEndian, as: UInt64.self)
        cursor.next.storeBytes(
            of: UInt64(truncatingIfNeeded: words &>> 64).littleEndian, toByteOffset: 8, as: UInt64.self)
        let newer = pending + slot
        newer.pointee.base.storeBytes(of: short.low.littleEndian, as: UInt64.self)
        newer.pointee.base.storeBytes(of: short.high.littleEndian, toByteOffset: 8, as: UInt64.self)
        newer.pointee.count = count
        pendingPrefixes |= 1 &<< UInt64(truncatingIfNeeded: slot)
        expandedBytes &+= count
        return cursor.next + rest
    }

    @usableFromInline
    mutating func putLongPrefixed(
        _ text: UnsafeRawBufferPointer, _ slot: Int, at start: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer? {
        guard check(text) else { return nil }
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
        var cursor = FieldCursor(reserve(textBytes: text.count, at: start))
        cursor.putVarint(UInt64(truncatingIfNeeded: shared))
        cursor.putVarint(UInt64(truncatingIfNeeded: text.count &- shared))
        cursor.put(UnsafeRawBufferPointer(rebasing: text[shared...]))
        pending[slot].count = 0
        pending[slot].reserve(text.count)
        pending[slot].put(text)
        pendingPrefixes |= 1 &<< UInt64(truncatingIfNeeded: slot)
        expandedBytes &+= text.count
        return cursor.next
    }

    // MARK: Texts of the dictionary

    /// - Returns: as `putPrefixed`.
    @usableFromInline
    mutating func putReference(
        _ text: UnsafeRawBufferPointer, at start: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer? {
        if text.count <= ShortText.bytesMax {
            let short = text.baseAddress.map { ShortText($0, count: text.count) } ?? ShortText.empty
            return putReference(short, count: text.count, at: start)
        }
        guard text.count <= FrameLimits.stringBytesMax else {
            note(text)
            return nil
        }
        let hash = stringHash(text, seed: strings.seed)
        switch strings.find(text, hash: hash) {
        case .at(let index):
            expandedBytes &+= text.count
            return Self.putIndex(index, at: start)
        case .free(let slot): return putNew(text, hash: hash, slot: slot, at: start)
        }
    }

    /// A text of at most `ShortText.bytesMax` bytes.
    @usableFromInline
    mutating func putReference(
        _ short: ShortText, count: Int, at start: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer? {
        let hash = short.hash(seed: strings.seed, state: strings.shortState)
        switch strings.find(short, count: count, hash: hash) {
        case .at(let index):
            expandedBytes &+= count
            return Self.putIndex(index, at: start)
        case .free(let slot): return putNew(short, count: count, hash: hash, slot: slot, at: start)
        }
    }

    /// What is in the dictionary was checked when it came.
    @inline(__always)
    private static func putIndex(_ index: Int, at start: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        assert(index < FrameLimits.stringsPerDictionaryMax && FrameLimits.stringsPerDictionaryMax <= 1 << 14)
        var cursor = FieldCursor(start)
        cursor.putShortVarint(UInt32(truncatingIfNeeded: index))
        return cursor.next
    }

    @inline(never)
    private mutating func putNew(
        _ text: UnsafeRawBufferPointer, hash: UInt64, slot: Int, at start: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer? {
        guard check(text) else { return nil }
        expandedBytes &+= text.count
        guard let index = strings.add(text, hash: hash, slot: slot) else {
            dictionaryFull = true
            return start
        }
        return Self.putIndex(index, at: start)
    }

    @inline(never)
    private mutating func putNew(
        _ short: ShortText, count: Int, hash: UInt64, slot: Int, at start: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer? {
        short.withBytes(count: count) { putNew($0, hash: hash, slot: slot, at: start) }
    }

    // MARK: Checks

    @inline(never)
    private mutating func check(_ short: ShortText, count: Int) -> Bool {
        short.withBytes(count: count) { check($0) }
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
        fields.mark(0)
        fields.next = reserve(textBytes: 20 * tags.pairs.count, at: fields.next)
        fields.putVarint(UInt64(tags.pairs.count))
        for pair in tags.pairs {
            try putReference(pair.key)
            try putReference(pair.value)
        }
    }

    private mutating func putReference(_ text: String) throws(RecordError) {
        let start = fields.next
        guard let next = withUTF8Bytes(of: text, { putReference($0, at: start) }) else { throw fault }
        fields.next = next
    }

    @usableFromInline
    mutating func writeMetadata(_ metadata: Metadata) {
        fields.mark(1)
        let json = metadata.json.utf8Span.span.bytes
        json.withUnsafeBytes { text in
            fields.next = reserve(textBytes: text.count, at: fields.next)
            fields.putVarint(UInt64(text.count))
            fields.put(text)
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
