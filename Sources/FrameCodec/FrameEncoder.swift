// Makes frames out of records: protocol/frame.md. Records go into one block for each kind, texts into one dictionary;
// `finish` puts them behind a header. The memory is kept from frame to frame, so a record allocates nothing.
//
// Limits: the frame never grows over `frameBytesMax`; a record that does not fit is refused and leaves no trace.

import Glibc
import MetricKinds

/// Makes record frames. Not shared between threads.
public struct FrameEncoder: ~Copyable {
    /// A frame is full when the next record would make it larger, in bytes. A record that is larger alone still gets a
    /// frame of its own, up to `frameBytesMax`.
    public let frameBytesTarget: Int
    /// No frame is larger, in bytes.
    public let frameBytesMax: Int
    /// A frame is full when it has so many records.
    public let recordsMax: Int
    /// Records in the frame that is being made.
    @inlinable public var recordCount: Int { records }

    @usableFromInline var records = 0

    @usableFromInline var writer: RecordWriter
    /// One state for each kind, at the position of its id less one.
    @usableFromInline let blocks: UnsafeMutablePointer<BlockState>
    private var output: ByteBuffer
    @usableFromInline var baseTime: Int64 = 0
    /// At most so many bytes have all blocks, heads included.
    @usableFromInline var blocksBytesMax = 0

    /// The kinds' ids are 1 to this, which the generator of kinds proves.
    private static let kindsMax = MetricKind.allCases.map { Int($0.rawValue) }.max() ?? 0

    /// - Parameters:
    ///   - frameBytesTarget: how large frames should become, in bytes.
    ///   - frameBytesMax: for records larger than the target; `FrameLimits.datagramBytesMax` for UDP.
    ///   - recordsMax: 1 to `FrameLimits.recordsPerFrameMax`.
    public init(
        frameBytesTarget: Int = FrameLimits.datagramBytesDefault, frameBytesMax: Int = FrameLimits.frameBytesMax,
        recordsMax: Int = FrameLimits.recordsPerFrameMax
    ) {
        precondition((1...FrameLimits.recordsPerFrameMax).contains(recordsMax))
        self.frameBytesMax = min(max(frameBytesMax, 256), FrameLimits.frameBytesMax)
        self.frameBytesTarget = min(frameBytesTarget, self.frameBytesMax)
        self.recordsMax = recordsMax
        blocks = .allocate(capacity: Self.kindsMax)
        for index in 0..<Self.kindsMax { (blocks + index).initialize(to: BlockState()) }
        writer = RecordWriter(block: blocks)
        output = ByteBuffer(capacity: max(self.frameBytesTarget, 2_048))
    }

    deinit {
        for index in 0..<Self.kindsMax { blocks[index].deallocate() }
        blocks.deallocate()
        output.deallocate()
    }

    /// Appends a typed record.
    ///
    /// - Returns: false when the frame is full: finish it and append the record again.
    /// - Throws: a record that no frame can carry. The frame stays as it was.
    /// - Complexity: O(bytes of the record), without allocation once the memory has grown to a frame's size.
    @inlinable
    public mutating func append<Record: MetricRecord>(_ record: borrowing Record) throws(RecordError) -> Bool {
        let mark = try begin(Record.kind, time: record.time, tags: record.tags, metadata: record.metadata)
        do throws(RecordError) {
            try record.write(to: &writer)
        } catch {
            rollBack(to: mark)
            throw error
        }
        return try end(Record.kind, time: record.time, mark)
    }

    /// Appends a record whose fields `fields` writes, in the kind's order. Otherwise like the typed form.
    @inlinable
    public mutating func append(
        _ kind: MetricKind, time: Int64, tags: Tags? = nil, metadata: Metadata? = nil,
        fields: (inout RecordWriter) throws(RecordError) -> Void
    ) throws(RecordError) -> Bool {
        let mark = try begin(kind, time: time, tags: tags, metadata: metadata)
        do throws(RecordError) {
            try fields(&writer)
        } catch {
            rollBack(to: mark)
            throw error
        }
        return try end(kind, time: time, mark)
    }

    /// Puts the header before the records and hands the frame out; then the encoder is empty again.
    ///
    /// - Returns: what `body` returned, or nil without a call when there is no record.
    /// - Complexity: O(bytes of the frame).
    public mutating func finish<Result, Failure: Error>(
        _ identity: FrameIdentity, _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard recordCount > 0 else { return nil }
        assemble(identity)
        defer { removeAll() }
        return try body(UnsafeRawBufferPointer(start: output.base, count: output.count).bytes)
    }

    /// Drops the records of the frame that is being made.
    public mutating func removeAll() {
        for index in 0..<Self.kindsMax where blocks[index].recordCount > 0 {
            blocks[index].records.count = 0
            blocks[index].recordCount = 0
            for slot in 0..<MetricKind.prefixSlotsMax { blocks[index].prefixes[slot].value.count = 0 }
        }
        blocksBytesMax = 0
        records = 0
        writer.strings.removeAll()
        writer.expandedBytes = 0
    }

    // MARK: One record

    /// What is needed to take a record back.
    @usableFromInline
    struct Mark {
        @usableFromInline let start: Int
        @usableFromInline let stringCount: Int
        @usableFromInline let stringBytes: Int
        @usableFromInline let expandedBytes: Int

        @inlinable
        init(start: Int, stringCount: Int, stringBytes: Int, expandedBytes: Int) {
            self.start = start
            self.stringCount = stringCount
            self.stringBytes = stringBytes
            self.expandedBytes = expandedBytes
        }
    }

    // These two are inlined, so that what depends on the kind alone is computed when they are compiled.
    @inlinable @inline(__always)
    mutating func begin(
        _ kind: MetricKind, time: Int64, tags: Tags?, metadata: Metadata?
    ) throws(RecordError) -> Mark {
        guard FrameLimits.timeRange.contains(time) else { throw .timeOutOfRange(time) }
        let block = blocks + Int(kind.rawValue) - 1
        writer.block = block
        writer.pendingPrefixes = 0
        writer.dictionaryFull = false
        let mark = Mark(
            start: block.pointee.records.count, stringCount: writer.strings.count,
            stringBytes: writer.strings.wire.count, expandedBytes: writer.expandedBytes)
        if recordCount == 0 { baseTime = time }
        block.pointee.records.reserve(RecordWriter.fixedBytesMax)
        // One byte for the length, which is enough for most records; the bitmap is filled in at the end.
        writer.fields = FieldCursor(
            block.pointee.records.base + (block.pointee.records.count &+ 1 &+ (Int(kind.presenceBits) &+ 7) / 8))
        let before = block.pointee.recordCount == 0 ? baseTime : block.pointee.lastTime
        let (delta, overflow) = time.subtractingReportingOverflow(before)
        if overflow {
            // Two times of one frame further apart than 64 bits: the frame ends before this record.
            writer.dictionaryFull = true
        }
        writer.fields.putZigzag(delta)
        do throws(RecordError) {
            if let tags { try writer.writeTags(tags) }
        } catch {
            rollBack(to: mark)
            throw error
        }
        if let metadata { writer.writeMetadata(metadata) }
        return mark
    }

    /// Completes the record, or takes it back when the frame has no room for it.
    @inlinable @inline(__always)
    mutating func end(_ kind: MetricKind, time: Int64, _ mark: Mark) throws(RecordError) -> Bool {
        let block = blocks + (Int(kind.rawValue) - 1)
        let start = block.pointee.records.base + mark.start
        // Behind the byte that was left for it.
        let length = writer.fields.next - start &- 1
        var cursor = FieldCursor(start)
        if length < 0x80 {
            // To the byte: what follows is there already.
            cursor.put(UInt8(truncatingIfNeeded: length))
        } else {
            cursor.next = Self.makeRoomForLength(length, at: start)
        }
        for byte in 0..<(Int(kind.presenceBits) &+ 7) / 8 {
            cursor.put(UInt8(truncatingIfNeeded: writer.fields.presence &>> UInt64(8 &* byte)))
        }
        let lengthBytes = length < 0x80 ? 1 : varintLength(UInt64(truncatingIfNeeded: length))
        let bytes = mark.start &+ lengthBytes &+ length
        block.pointee.records.count = bytes
        block.pointee.recordCount &+= 1
        let blocksMax =
            blocksBytesMax &+ (bytes &- mark.start) &+ (block.pointee.recordCount == 1 ? BlockState.headBytesMax : 0)

        // Most records fit whatever the lengths of lengths are.
        let frameMax =
            FrameHeader.lengthMin &+ StringTable.countBytesMax &+ writer.strings.wire.count &+ blocksMax
        let payloadMin = writer.strings.wire.count &+ bytes
        if frameMax > frameBytesTarget || writer.expandedBytes > payloadMin &* FrameLimits.expansionFactorMax
            || writer.dictionaryFull || recordCount >= recordsMax
        {
            guard try hasRoom(for: mark) else { return false }
        }
        block.pointee.lastTime = time
        blocksBytesMax = blocksMax
        records &+= 1
        for slot in 0..<MetricKind.prefixSlotsMax where writer.pendingPrefixes & (1 &<< UInt64(slot)) != 0 {
            swap(&block.pointee.prefixes[slot].value, &writer.pending[slot])
        }
        return true
    }

    /// Moves the record away from its length, which takes more than a byte.
    ///
    /// - Returns: the length's end.
    @usableFromInline @inline(never)
    static func makeRoomForLength(_ length: Int, at start: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        memmove(start + varintLength(UInt64(length)), start + 1, length)
        return FieldCursor.putLongVarint(UInt64(length), at: start)
    }

    /// Whether the frame has room for its newest record, to the byte. If not, the record is taken back.
    @usableFromInline @inline(never)
    mutating func hasRoom(for mark: Mark) throws(RecordError) -> Bool {
        let payload = payloadBytes
        let frame = FrameHeader.lengthMin + payload
        let limit = recordCount == 0 ? frameBytesMax : frameBytesTarget
        let expands = writer.expandedBytes > payload * FrameLimits.expansionFactorMax
        guard frame > limit || expands || writer.dictionaryFull || recordCount >= recordsMax else { return true }
        writer.block.pointee.recordCount -= 1
        rollBack(to: mark)
        if recordCount > 0 { return false }
        throw expands ? .expansionTooLarge : .recordTooLarge(bytes: frame, limit: limit)
    }

    /// Bytes of the frame that is being made, without its header.
    private var payloadBytes: Int {
        var bytes = varintLength(UInt64(writer.strings.count)) + writer.strings.wire.count
        for index in 0..<Self.kindsMax where blocks[index].recordCount > 0 { bytes += blocks[index].bytes }
        return bytes
    }

    @usableFromInline
    mutating func rollBack(to mark: Mark) {
        writer.block.pointee.records.count = mark.start
        writer.strings.truncate(count: mark.stringCount, wireCount: mark.stringBytes)
        writer.expandedBytes = mark.expandedBytes
    }

    // MARK: The frame

    private mutating func assemble(_ identity: FrameIdentity) {
        output.count = FrameHeader.lengthMin
        output.reserve(payloadBytes)
        output.putVarint(UInt64(writer.strings.count))
        output.put(UnsafeRawBufferPointer(start: writer.strings.wire.base, count: writer.strings.wire.count))
        for kind in MetricKind.allCases {
            let block = blocks[Int(kind.rawValue) - 1]
            guard block.recordCount > 0 else { continue }
            output.put(kind.rawValue)
            output.put(kind.version)
            output.put(kind.presenceBits)
            output.putVarint(UInt64(block.recordCount))
            output.putVarint(UInt64(block.records.count))
            output.put(UnsafeRawBufferPointer(start: block.records.base, count: block.records.count))
        }
        FrameHeader.write(
            .records, identity: identity, baseTime: baseTime, recordCount: recordCount,
            to: UnsafeMutableRawBufferPointer(start: output.base, count: output.count))
    }
}
