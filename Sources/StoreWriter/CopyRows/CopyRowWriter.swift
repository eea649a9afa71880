// Turns the records of frames straight into COPY rows, without a value for a record in between.
//
// Invariant: between two visits there is room for `fixedBytesMax` bytes behind `cursor`, so that numbers and nulls are
// stored without a check, and short texts too; longer ones reserve their own bytes on top. Stores are unsafe behind that
// reservation.

import Delivery
import FrameCodec
import Glibc
import MetricKinds

/// The rows of a batch, one buffer for each table. Columns stand in the order of the table: time, fields, tags, metadata.
public struct CopyRowWriter: FrameVisitor, ~Copyable {
    /// Microseconds from the Unix epoch to 2000-01-01, where timestamptz begins to count.
    @usableFromInline static var unixToPostgreSQLMicroseconds: Int64 { 946_684_800_000_000 }
    /// A row without its longer texts: field count, time, and 66 columns, each a number or a short text.
    @usableFromInline static var fixedBytesMax: Int { 2 + 12 + 66 * (4 + shortTextBytesMax) }
    /// Texts of so many bytes need no reservation of their own, and are copied whole, whatever their length.
    @usableFromInline static var shortTextBytesMax: Int { 32 }

    private let tables: UnsafeMutablePointer<CopyTable>
    /// What each table had before the present frame.
    private let marks: UnsafeMutablePointer<(count: Int, rowCount: Int)>
    /// The table that is written now, or -1.
    private var current = -1
    /// Where the next byte of the current table goes, and the end of its room.
    @usableFromInline var cursor: UnsafeMutableRawPointer
    @usableFromInline var limit: UnsafeMutableRawPointer
    @usableFromInline var rowsOfBlock = 0
    /// Where the length of the tags goes that are being written, from the table's start.
    @usableFromInline var tagsLengthOffset = 0
    @usableFromInline var tagsFollow = false
    /// The earliest and the latest time of the present block's rows, in microseconds since the Unix epoch. Nothing was written
    /// while the first is behind the second.
    @usableFromInline var earliest = Int64.max
    @usableFromInline var latest = Int64.min
    /// The same of all blocks since `removeAll`, those of frames that were taken back among them.
    private var earliestOfAll = Int64.max
    private var latestOfAll = Int64.min
    /// Records of unknown kinds in the present frame.
    public private(set) var skippedInFrame = 0

    /// Kinds whose records are read and counted, but have no rows.
    private var leftOut: KindSet = []
    /// The records that were left out, by table: those of the present frame, and those before it.
    private var leftOutInFrame = [Int](repeating: 0, count: kindCount)
    private var leftOutBefore = [Int](repeating: 0, count: kindCount)

    private var times = TimeSieve()

    /// Memory of all tables together that is kept for the next batch, in bytes.
    static let keptBytesMax = 32 << 20
    private static let kindCount = MetricKind.allCases.count

    public init() {
        tables = .allocate(capacity: Self.kindCount)
        marks = .allocate(capacity: Self.kindCount)
        for index in 0..<Self.kindCount {
            (tables + index).initialize(to: CopyTable())
            (marks + index).initialize(to: (CopyTable.headerBytes, 0))
        }
        cursor = tables[0].base
        limit = cursor
    }

    deinit {
        for index in 0..<Self.kindCount { tables[index].deallocate() }
        tables.deallocate()
        marks.deallocate()
    }

    // MARK: Frames and batches

    /// Begins a frame: until the next one, `rollBackFrame` takes its rows back.
    public mutating func beginFrame() {
        leaveTable()
        for index in 0..<Self.kindCount { marks[index] = (tables[index].count, tables[index].rowCount) }
        skippedInFrame = 0
        times.beginFrame()
        guard !leftOut.isEmpty else { return }
        for index in 0..<Self.kindCount {
            leftOutBefore[index] += leftOutInFrame[index]
            leftOutInFrame[index] = 0
        }
    }

    /// Takes the rows of the present frame back, which turned out to be malformed. O(tables).
    public mutating func rollBackFrame() {
        leaveTable()
        for index in 0..<Self.kindCount {
            tables[index].count = marks[index].count
            tables[index].rowCount = marks[index].rowCount
        }
        skippedInFrame = 0
        times.beginFrame()
        guard !leftOut.isEmpty else { return }
        for index in 0..<Self.kindCount { leftOutInFrame[index] = 0 }
    }

    /// Which rows are taken back for their times, from the next block on.
    ///
    /// - Parameters:
    ///   - accepted: in microseconds since the Unix epoch.
    ///   - oldBefore: the days of earlier rows are collected in `oldDaysOfFrame`.
    mutating func judge(_ accepted: ClosedRange<Int64>, oldBefore: Int64) {
        times = TimeSieve(accepted, oldBefore: oldBefore)
    }

    /// Rows of these days are taken back as well, from the next block on.
    mutating func deny(_ days: Set<TableDay>) {
        leaveTable()
        times.deny(days)
    }

    /// Records of the present frame that were taken back for their times, once it is read.
    mutating func outOfBoundsOfFrame() -> Int {
        leaveTable()
        return times.outOfBoundsOfFrame
    }

    /// The days of the present frame's old rows, once `outOfBoundsOfFrame` was asked.
    var oldDaysOfFrame: Set<TableDay> { times.oldDaysOfFrame }
    /// The kinds of which rows were taken back since `judge`.
    var kindsOutOfBounds: KindSet { times.kindsOutOfBounds }

    /// From now on the records of these kinds are counted and have no rows. Forgets what was counted before.
    mutating func leaveOut(_ kinds: KindSet) {
        leftOut = kinds
        for index in 0..<Self.kindCount { (leftOutInFrame[index], leftOutBefore[index]) = (0, 0) }
    }

    /// Records of the present frame that were left out, once it is read.
    mutating func leftOutOfFrame() -> Int {
        guard !leftOut.isEmpty else { return 0 }
        leaveTable()
        return leftOutInFrame.reduce(0, +)
    }

    /// The records that were left out, up to the last `endBatch`.
    func leftOutCount(_ kind: MetricKind) -> Int { leftOutBefore[Self.index(kind)] }

    /// The kinds that have rows.
    package var kinds: KindSet {
        var kinds: KindSet = []
        for kind in MetricKind.allCases where rowCount(kind) > 0 { kinds.insert(KindSet(kind)) }
        return kinds
    }

    /// Ends the last frame of a batch. The rows can be read now.
    public mutating func endBatch() {
        beginFrame()
    }

    /// Forgets all rows, for the next batch, and gives back the memory beyond `keptBytesMax`, the largest tables first.
    public mutating func removeAll() {
        current = -1
        limit = cursor
        var keptBytes = 0
        for index in 0..<Self.kindCount {
            tables[index].removeAll()
            keptBytes += tables[index].capacity
        }
        while keptBytes > Self.keptBytesMax,
            let largest = (0..<Self.kindCount).max(by: { tables[$0].capacity < tables[$1].capacity })
        {
            keptBytes -= tables[largest].capacity
            tables[largest].deallocate()
            tables[largest] = CopyTable()
            keptBytes += tables[largest].capacity
        }
        (earliest, latest) = (.max, .min)
        (earliestOfAll, latestOfAll) = (.max, .min)
        skippedInFrame = 0
    }

    /// Rows of the kind's table.
    public func rowCount(_ kind: MetricKind) -> Int { tables[Self.index(kind)].rowCount }

    /// Bytes of all tables' rows.
    public var byteCount: Int {
        (0..<Self.kindCount).reduce(0) { $0 + tables[$1].count - CopyTable.headerBytes }
    }

    /// The rows of the kind's table with COPY's header before them; the trailer comes from `CopyRowWriter.trailer`.
    public func withRows<Result, Failure: Error>(
        _ kind: MetricKind, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let table = tables[Self.index(kind)]
        return try body(UnsafeRawBufferPointer(start: table.base, count: table.count))
    }

    /// Between which times all rows are, in microseconds since the Unix epoch; nil without rows. It may be wider than that.
    var timeRange: ClosedRange<Int64>? { earliestOfAll <= latestOfAll ? earliestOfAll...latestOfAll : nil }

    /// The time of a row, in microseconds since the Unix epoch: its first field, behind the count of fields and the length.
    static func time(ofRowAt offset: Int, in bytes: UnsafeRawBufferPointer) -> Int64 {
        Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 6, as: Int64.self))
            + unixToPostgreSQLMicroseconds
    }

    /// What ends COPY's data: a row with -1 fields.
    public static let trailer: [UInt8] = [0xFF, 0xFF]

    private static func index(_ kind: MetricKind) -> Int { Int(kind.rawValue) - 1 }

    private mutating func leaveTable() {
        guard current >= 0 else { return }
        let isLeftOut = !leftOut.isEmpty && leftOut.rawValue & 2 << UInt16(current) != 0
        // What is left out is judged when it is stored.
        if !isLeftOut, times.concerns(earliest, latest) { sift() }
        earliestOfAll = min(earliestOfAll, earliest)
        latestOfAll = max(latestOfAll, latest)
        (earliest, latest) = (.max, .min)
        if !isLeftOut {
            tables[current].count = cursor - tables[current].base
            tables[current].rowCount += rowsOfBlock
        } else {
            // The next block is written over this one.
            leftOutInFrame[current] += rowsOfBlock
        }
        rowsOfBlock = 0
        current = -1
    }

    /// Takes back the rows of the present block whose times are not accepted. O(bytes of the block).
    private mutating func sift() {
        guard let kind = MetricKind(rawValue: UInt8(current + 1)) else { preconditionFailure("a table has a kind") }
        if times.takesBlock(kind, earliest, latest, rowCount: rowsOfBlock) { return }
        let block = UnsafeRawBufferPointer(start: tables[current].base, count: cursor - tables[current].base)
        var offset = tables[current].count
        var end = offset
        var kept = 0
        (earliest, latest) = (.max, .min)
        // The last row of a malformed frame may be cut off: only whole ones are counted.
        for _ in 0..<rowsOfBlock {
            let length = CopyRows.firstRowEnd(UnsafeRawBufferPointer(rebasing: block[offset...]))
            let time = Self.time(ofRowAt: offset, in: block)
            if times.takesRow(kind, at: time) {
                if end < offset { memmove(tables[current].base + end, tables[current].base + offset, length) }
                end += length
                kept += 1
                earliest = min(earliest, time)
                latest = max(latest, time)
            }
            offset += length
        }
        rowsOfBlock = kept
        cursor = tables[current].base + end
    }

    @usableFromInline
    mutating func enterTable(_ kind: MetricKind) {
        leaveTable()
        current = Self.index(kind)
        cursor = tables[current].base + tables[current].count
        limit = tables[current].base + tables[current].capacity
        reserve(Self.fixedBytesMax)
    }

    @usableFromInline
    mutating func grow(_ bytes: Int) {
        let used = cursor - tables[current].base
        tables[current].grow(used: used, by: bytes)
        cursor = tables[current].base + used
        limit = tables[current].base + tables[current].capacity
    }

    @usableFromInline
    var offset: Int { cursor - tables[current].base }

    @usableFromInline
    func storeLength(_ length: Int, at offset: Int) {
        tables[current].base.storeBytes(of: Int32(length).bigEndian, toByteOffset: offset, as: Int32.self)
    }

    // MARK: Stores

    @inlinable @inline(__always)
    mutating func reserve(_ bytes: Int) {
        if limit - cursor < bytes { grow(bytes) }
    }

    @inlinable @inline(__always)
    mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        cursor.storeBytes(of: value.bigEndian, as: T.self)
        cursor += MemoryLayout<T>.size
    }

    @inlinable @inline(__always)
    mutating func putBytes(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        memcpy(cursor, source, bytes.count)
        cursor += bytes.count
    }

    // MARK: FrameVisitor

    @inlinable
    public mutating func beginBlock(_ kind: MetricKind, recordCount: Int) { enterTable(kind) }

    @inlinable @inline(__always)
    public mutating func beginRecord(_ kind: MetricKind, time: Int64) {
        reserve(Self.fixedBytesMax)
        put(Int16(truncatingIfNeeded: kind.fieldCount &+ 3))
        put(Int32(8))
        // Cannot overflow: the times of frames begin at timestamptz's own beginning.
        put(time &- Self.unixToPostgreSQLMicroseconds)
        earliest = min(earliest, time)
        latest = max(latest, time)
    }

    @inlinable @inline(__always)
    public mutating func absent(_ column: Int) { put(Int32(-1)) }

    @inlinable @inline(__always)
    public mutating func text(_ column: Int, _ value: RawSpan) {
        value.withUnsafeBytes { bytes in
            reserve(bytes.count &+ Self.fixedBytesMax)
            put(Int32(truncatingIfNeeded: bytes.count))
            putBytes(bytes)
        }
    }

    @inlinable @inline(__always)
    public mutating func text(_ column: Int, startOf window: RawSpan, count: Int) {
        guard count <= Self.shortTextBytesMax, window.byteCount >= Self.shortTextBytesMax else {
            return text(column, window.extracting(first: count))
        }
        put(Int32(truncatingIfNeeded: count))
        window.withUnsafeBytes { bytes in
            cursor.storeBytes(of: bytes.loadUnaligned(as: SIMD32<UInt8>.self), as: SIMD32<UInt8>.self)
        }
        cursor += count
    }

    @inlinable @inline(__always)
    public mutating func bool(_ column: Int, _ value: Bool) {
        put(Int32(1))
        put(UInt8(value ? 1 : 0))
    }

    /// Length and value go out in one store.
    @inlinable @inline(__always)
    public mutating func int32(_ column: Int, _ value: Int32) {
        put(4 &<< 32 | UInt64(UInt32(bitPattern: value)))
    }

    @inlinable @inline(__always)
    public mutating func int64(_ column: Int, _ value: Int64) {
        put(Int32(8))
        put(value)
    }

    @inlinable @inline(__always)
    public mutating func float32(_ column: Int, _ value: Float) {
        put(4 &<< 32 | UInt64(value.bitPattern))
    }

    @inlinable @inline(__always)
    public mutating func float64(_ column: Int, _ value: Double) {
        put(Int32(8))
        put(value.bitPattern)
    }

    @inlinable @inline(__always)
    public mutating func absentTags() { put(Int32(-1)) }

    /// JSONB in binary is a version, 1, and the JSON text.
    public mutating func beginTags(count: Int) {
        tagsLengthOffset = offset
        put(Int32(0))
        put(UInt8(1))
        put(UInt8(ascii: "{"))
        tagsFollow = false
    }

    public mutating func tag(key: RawSpan, value: RawSpan) {
        // At most six bytes for each, two pairs of quotes, comma and colon.
        reserve((key.byteCount + value.byteCount) * 6 + 8 + Self.fixedBytesMax)
        // In a register from byte to byte: through memory each would wait for the store of the one before it.
        var next = cursor
        if tagsFollow { Self.put(UInt8(ascii: ","), &next) }
        tagsFollow = true
        Self.putQuoted(key, &next)
        Self.put(UInt8(ascii: ":"), &next)
        Self.putQuoted(value, &next)
        cursor = next
    }

    public mutating func endTags() {
        put(UInt8(ascii: "}"))
        storeLength(offset - tagsLengthOffset - 4, at: tagsLengthOffset)
    }

    @inline(__always)
    private static func put(_ byte: UInt8, _ next: inout UnsafeMutableRawPointer) {
        next.storeBytes(of: byte, as: UInt8.self)
        next += 1
    }

    /// Eight bytes are stored at a time, and those before the first one that needs an escape stay. What is stored behind
    /// the text lies in the room that is reserved on top of it.
    @inline(__always)
    private static func putQuoted(_ text: RawSpan, _ next: inout UnsafeMutableRawPointer) {
        put(UInt8(ascii: "\""), &next)
        text.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let word = paddedWord(bytes, at: offset)
                next.storeBytes(of: word.littleEndian, as: UInt64.self)
                // The zeros behind the text end its last run.
                let plain = JSONEscapes.plainBytes(word)
                next += plain
                offset += plain
                guard plain < 8, offset < bytes.count else { continue }
                next = putEscape(bytes[offset], at: next)
                offset += 1
            }
        }
        put(UInt8(ascii: "\""), &next)
    }

    /// - Returns: its end.
    private static func putEscape(_ byte: UInt8, at start: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        var next = start
        put(UInt8(ascii: "\\"), &next)
        if byte < 0x20 {
            for digit in controlEscapes[Int(byte)] { put(digit, &next) }
        } else {
            put(byte, &next)
        }
        return next
    }

    private static let controlEscapes: [[UInt8]] = (0..<32).map { byte in
        let digits = Array("0123456789abcdef".utf8)
        return Array("u00".utf8) + [digits[byte >> 4], digits[byte & 15]]
    }

    @inlinable @inline(__always)
    public mutating func absentMetadata() { put(Int32(-1)) }

    public mutating func metadata(_ json: RawSpan) {
        json.withUnsafeBytes { bytes in
            reserve(bytes.count + 5 + Self.fixedBytesMax)
            put(Int32(bytes.count + 1))
            put(UInt8(1))
            putBytes(bytes)
        }
    }

    @inlinable @inline(__always)
    public mutating func endRecord() { rowsOfBlock &+= 1 }

    public mutating func skippedBlock(kindID: UInt8, recordCount: Int) { skippedInFrame += recordCount }
}
