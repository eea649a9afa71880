// Reads the records of a block: presence bits, time, tags and metadata here, the fields of each kind in straight-line code
// that is generated and calls the field readers here.

import Glibc
import MetricKinds

/// Walks the records of one frame. It lives for one `FrameDecoder.decode`, whose memory it points to.
@usableFromInline
struct RecordReader {
    @usableFromInline var wire: WireReader
    /// The presence bitmap of the present record.
    @usableFromInline var presence: UInt64 = 0
    /// Bytes of all texts handed out, each as often as it was.
    @usableFromInline var expandedBytes = 0
    @usableFromInline let expandedBytesMax: Int
    /// Where the frame ends, as a position of `wire`.
    @usableFromInline let frameEnd: Int
    @usableFromInline let dictionaryCount: Int
    @usableFromInline let entries: UnsafeMutablePointer<DictionaryEntry>
    @usableFromInline let used: UnsafeMutablePointer<Bool>
    @usableFromInline let prefixBytes: UnsafeMutableRawPointer
    @usableFromInline let prefixLengths: UnsafeMutablePointer<Int>
    @usableFromInline let tagIndices: UnsafeMutablePointer<UInt32>

    @inlinable
    init(wire: WireReader, memory: borrowing DecoderMemory, dictionaryCount: Int, expandedBytesMax: Int) {
        self.wire = wire
        frameEnd = wire.end
        self.dictionaryCount = dictionaryCount
        self.expandedBytesMax = expandedBytesMax
        entries = memory.entries
        used = memory.used
        prefixBytes = memory.prefixBytes
        prefixLengths = memory.prefixLengths
        tagIndices = memory.tagIndices
    }

    /// Whether the present record has the field or value bit.
    @inlinable @inline(__always)
    func has(_ bit: Int) -> Bool { presence & (1 &<< UInt64(truncatingIfNeeded: bit)) != 0 }

    /// A reference to the dictionary.
    @inlinable @inline(__always)
    mutating func dictionaryIndex() throws(FrameError) -> Int {
        let start = wire.position
        let index = try wire.varint()
        guard index < UInt64(truncatingIfNeeded: dictionaryCount) else { throw FrameError(.danglingIndex, at: start) }
        let position = Int(truncatingIfNeeded: index)
        used[position] = true
        return position
    }

    @inlinable @inline(__always)
    mutating func dictionaryText(_ index: Int) -> UnsafeRawBufferPointer {
        let entry = entries[index]
        expandedBytes &+= Int(truncatingIfNeeded: entry.length)
        return UnsafeRawBufferPointer(
            start: wire.base + Int(truncatingIfNeeded: entry.offset), count: Int(truncatingIfNeeded: entry.length))
    }

    // MARK: Fields

    @inlinable @inline(__always)
    mutating func text<Visitor: FrameVisitor & ~Copyable>(
        column: Int, bit: Int, _ visitor: inout Visitor
    ) throws(FrameError) {
        guard has(bit) else { return visitor.absent(column) }
        let entry = entries[try dictionaryIndex()]
        let (offset, count) = (Int(truncatingIfNeeded: entry.offset), Int(truncatingIfNeeded: entry.length))
        expandedBytes &+= count
        let window = UnsafeRawBufferPointer(start: wire.base + offset, count: frameEnd &- offset)
        visitor.text(column, startOf: window.bytes, count: count)
    }

    /// A text as the length that it shares with the older value and the rest of its bytes. The older value is kept whole,
    /// so the new one is made in its place.
    @inlinable @inline(__always)
    mutating func prefixedText<Visitor: FrameVisitor & ~Copyable>(
        column: Int, bit: Int, slot: Int, _ visitor: inout Visitor
    ) throws(FrameError) {
        guard has(bit) else { return visitor.absent(column) }
        let start = wire.position
        let older = prefixLengths[slot]
        let shared = try wire.count(limit: older, .badPrefix)
        let count = try wire.count(limit: FrameLimits.stringBytesMax, .stringTooLong)
        let rest = try wire.bytes(count)
        let length = shared &+ count
        guard length <= FrameLimits.stringBytesMax else { throw FrameError(.stringTooLong, at: start) }
        let value = prefixBytes + slot &* FrameLimits.stringBytesMax
        if let source = rest.baseAddress, count > 0 {
            if shared < older, value.load(fromByteOffset: shared, as: UInt8.self) == rest[0] {
                throw FrameError(.badPrefix, at: start)
            }
            copyShort(value + shared, source, count)
        }
        prefixLengths[slot] = length
        let text = UnsafeRawBufferPointer(start: value, count: length)
        if let fault = TextCheck.fault(in: text) { throw FrameError(fault.reason, at: start) }
        expandedBytes &+= length
        let window = UnsafeRawBufferPointer(start: value, count: max(length, DecoderMemory.prefixBytesMadeZero))
        visitor.text(column, startOf: window.bytes, count: length)
    }

    @inlinable @inline(__always)
    mutating func bool<Visitor: FrameVisitor & ~Copyable>(column: Int, bit: Int, _ visitor: inout Visitor) {
        if has(bit) { visitor.bool(column, has(bit &+ 1)) } else { visitor.absent(column) }
    }

    @inlinable @inline(__always)
    mutating func int32<Visitor: FrameVisitor & ~Copyable>(
        column: Int, bit: Int, _ visitor: inout Visitor
    ) throws(FrameError) {
        guard has(bit) else { return visitor.absent(column) }
        let start = wire.position
        let value = try wire.zigzag()
        guard let narrow = Int32(exactly: value) else { throw FrameError(.integerOutOfRange, at: start) }
        visitor.int32(column, narrow)
    }

    @inlinable @inline(__always)
    mutating func int64<Visitor: FrameVisitor & ~Copyable>(
        column: Int, bit: Int, _ visitor: inout Visitor
    ) throws(FrameError) {
        guard has(bit) else { return visitor.absent(column) }
        visitor.int64(column, try wire.zigzag())
    }

    @inlinable @inline(__always)
    mutating func float32<Visitor: FrameVisitor & ~Copyable>(
        column: Int, bit: Int, _ visitor: inout Visitor
    ) throws(FrameError) {
        guard has(bit) else { return visitor.absent(column) }
        let start = wire.position
        let value = Float(bitPattern: try wire.fixed(UInt32.self))
        if value.isNaN, value.bitPattern != 0x7FC0_0000 { throw FrameError(.badNaN, at: start) }
        visitor.float32(column, value)
    }

    @inlinable @inline(__always)
    mutating func float64<Visitor: FrameVisitor & ~Copyable>(
        column: Int, bit: Int, _ visitor: inout Visitor
    ) throws(FrameError) {
        guard has(bit) else { return visitor.absent(column) }
        let start = wire.position
        let value = Double(bitPattern: try wire.fixed(UInt64.self))
        if value.isNaN, value.bitPattern != 0x7FF8_0000_0000_0000 { throw FrameError(.badNaN, at: start) }
        visitor.float64(column, value)
    }

    // MARK: Tags and metadata, which stand before the fields and are told behind them

    /// Reads a record's tags into `tagIndices`.
    ///
    /// - Returns: how many pairs.
    @usableFromInline
    mutating func readTags() throws(FrameError) -> Int {
        let count = try wire.count(limit: FrameLimits.tagsPerRecordMax, .tooManyTags)
        for pair in 0..<count {
            let start = wire.position
            let key = try dictionaryIndex()
            if pair > 0 {
                let older = entryBytes(Int(tagIndices[2 * pair - 2]))
                guard older.lexicographicallyPrecedes(entryBytes(key)) else { throw FrameError(.tagOrder, at: start) }
            }
            tagIndices[2 * pair] = UInt32(key)
            tagIndices[2 * pair + 1] = UInt32(try dictionaryIndex())
        }
        return count
    }

    private func entryBytes(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: wire.base + Int(entries[index].offset), count: Int(entries[index].length))
    }

    /// Reads a record's metadata and checks that it is a JSON object.
    @usableFromInline
    mutating func readMetadata() throws(FrameError) -> UnsafeRawBufferPointer {
        let json = try wire.string(limit: FrameLimits.stringBytesMax)
        if let fault = MetadataCheck.fault(in: json) {
            throw FrameError(fault.reason, at: wire.position - json.count + fault.offset)
        }
        expandedBytes &+= json.count
        return json
    }

    /// Bytes of the present record's tags, keys and values.
    @usableFromInline
    func tagBytes(_ count: Int) -> Int {
        (0..<2 * count).reduce(0) { $0 + Int(entries[Int(tagIndices[$1])].length) }
    }

    @inlinable
    mutating func tellTags<Visitor: FrameVisitor & ~Copyable>(_ count: Int, _ visitor: inout Visitor) {
        visitor.beginTags(count: count)
        for pair in 0..<count {
            let key = dictionaryText(Int(tagIndices[2 &* pair]))
            let value = dictionaryText(Int(tagIndices[2 &* pair &+ 1]))
            visitor.tag(key: key.bytes, value: value.bytes)
        }
        visitor.endTags()
    }
}
