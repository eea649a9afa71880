// Appends batches to segments and makes them durable together.
//
// Limits: `SpillLimits`; one buffer as large as the largest batch, kept. Invariants: what `sync` has covered is never cut, a
// file whose write or sync failed is never written or synced again, and a segment's number is never used twice.

import CChecksum
import Delivery
import Glibc
import LinuxSystem

/// The one who writes the spill. Used by one thread.
public struct SpillWriter: ~Copyable {
    struct Segment {
        let name: SegmentName
        let file: any SpillFile
        /// Where the next record goes.
        var endOffset: Int
        /// What is durable.
        var syncedOffset = 0
        var nextOrdinal: UInt32
        var chain: UInt32
        var batches: UInt32 = 0
        var records: UInt64 = 0
        /// The folder has its name durably.
        var isNamed = false
    }

    let fileSystem: any SpillFileSystem
    private let compressor = FrameCompressor()
    private let directoryID: UInt64
    private let epoch: UInt64
    private let limits: SpillLimits
    private var lastSequence: UInt32 = 0
    var segment: Segment?
    var hasFailed = false
    /// Another folder was taken after a sync, until somebody asks.
    var hasTakenPlace = false
    private(set) var buffer: UnsafeMutableRawBufferPointer = .allocate(byteCount: 0, alignment: 16)
    /// Segments that were ended because they were full, until they are asked for.
    private var ended: [SegmentName] = []
    private var bytesBySegment: [SegmentName: UInt64] = [:]
    /// Kept open until they are removed.
    let files: SegmentFiles
    /// Of the last batch that was to be appended, on disk.
    private(set) var lastBatchBytes = 0
    /// Bytes of all segments on disk.
    public private(set) var usedBytes: UInt64 = 0

    /// - Parameters:
    ///   - epoch: random for this start.
    ///   - found: the segments that an earlier run left, and their bytes.
    ///   - files: what is shared with the readers.
    public init(
        fileSystem: any SpillFileSystem, directoryID: UInt64, epoch: UInt64, limits: SpillLimits,
        found: [SegmentName: UInt64] = [:], files: SegmentFiles = SegmentFiles()
    ) {
        self.fileSystem = fileSystem
        self.files = files
        self.directoryID = directoryID
        self.epoch = epoch
        self.limits = limits
        bytesBySegment = found
        usedBytes = found.values.reduce(0, +)
    }

    deinit { buffer.deallocate() }

    /// The segment that batches are appended to.
    public var currentSegment: SegmentName? { segment?.name }
    public var currentSegmentBytes: Int { segment?.endOffset ?? 0 }
    /// What was written to a segment, as far as it is on the disk.
    func bytes(of name: SegmentName) -> UInt64 { bytesBySegment[name] ?? 0 }
    /// The segment's open file, if there is one.
    func file(of name: SegmentName) -> (any SpillFile)? {
        if let segment, segment.name == name { return segment.file }
        return files[name]
    }

    // MARK: Appending

    /// Appends a batch. It is not durable before `sync`.
    ///
    /// A full segment is sealed and synced first. After an error other than `quotaReached` the segment must be abandoned.
    /// - Complexity: O(bytes of the frames).
    public mutating func append(
        _ summary: BatchSummary, frames: UnsafeRawBufferPointer, nowMicroseconds: Int64
    ) throws(SpillError) -> SpilledBatch {
        precondition(!hasFailed, "a segment that failed is abandoned first")
        precondition(frames.count == summary.byteCount && frames.count <= SpillFormat.batchBytesMax)
        let headerBytes = SpillRecord.batchRecordBytes(summary)
        let neededBytes = headerBytes + FrameCompressor.bound(contentBytes: frames.count)
        reserveBuffer(neededBytes)
        let storedBytes = compressor.compress(
            frames, into: UnsafeMutableRawBufferPointer(rebasing: buffer[headerBytes..<neededBytes]))
        let stored = UnsafeRawBufferPointer(rebasing: buffer[headerBytes..<headerBytes + storedBytes])
        return try put(
            summary, storedBytes: storedBytes, storedChecksum: spillway_crc32c(0, stored.baseAddress, stored.count),
            nowMicroseconds: nowMicroseconds)
    }

    mutating func reserveBuffer(_ byteCount: Int) {
        guard buffer.count < byteCount else { return }
        buffer.deallocate()
        buffer = .allocate(byteCount: byteCount, alignment: 16)
    }

    /// Writes the batch whose LZ4 frame is in the buffer, after the place of its record.
    ///
    /// - Parameter isBounded: within the quota and the disk's share.
    mutating func put(
        _ summary: BatchSummary, storedBytes: Int, storedChecksum: UInt32, nowMicroseconds: Int64,
        isBounded: Bool = true
    ) throws(SpillError) -> SpilledBatch {
        let headerBytes = SpillRecord.batchRecordBytes(summary)
        let batchBytes = headerBytes + storedBytes
        lastBatchBytes = batchBytes
        if isBounded { try checkRoom(for: batchBytes) }
        if let segment, segment.batches > 0,
            segment.endOffset + batchBytes + SpillFormat.sealRecordBytes > limits.segmentBytesMax
        {
            if let name = try endSegment() { ended.append(name) }
        }
        if segment == nil { try beginSegment(nowMicroseconds: nowMicroseconds) }
        guard var current = segment else { preconditionFailure("a segment was begun") }

        let record = SpillRecord(
            segment: current.name, ordinal: current.nextOrdinal, chain: current.chain,
            body: .batch(summary, storedBytes: storedBytes, storedChecksum: storedChecksum))
        let header = record.encoded()
        precondition(header.count == headerBytes)
        buffer.copyBytes(from: header)
        try write(UnsafeRawBufferPointer(rebasing: buffer[..<batchBytes]), to: current)
        let batch = SpilledBatch(
            summary: summary, segment: current.name, headerOffset: current.endOffset,
            frameOffset: current.endOffset + headerBytes, storedBytes: storedBytes, storedChecksum: storedChecksum)
        current.endOffset += batchBytes
        current.nextOrdinal += 1
        current.chain = Self.chain(header)
        current.batches += 1
        current.records += UInt64(summary.recordCount)
        segment = current
        grew(current.name, by: batchBytes)
        return batch
    }

    /// - Throws: `quotaReached` where the quota or the disk's share has no room for these bytes.
    func checkRoom(for bytes: Int) throws(SpillError) {
        guard usedBytes + UInt64(bytes) <= limits.quotaBytes else {
            throw .quotaReached(reason: "its segments have \(usedBytes) of at most \(limits.quotaBytes) bytes")
        }
        guard limits.freePercentMin > 0 else { return }
        let space: DiskSpace
        do throws(SystemCallError) { space = try fileSystem.space() } catch { throw .system(error) }
        let free = DiskSpace(
            freeBytes: space.freeBytes - min(space.freeBytes, UInt64(bytes)), totalBytes: space.totalBytes)
        guard free.freePercent >= limits.freePercentMin else {
            throw .quotaReached(
                reason: "the disk has \(space.freeBytes) bytes left, and \(limits.freePercentMin) % are to stay free")
        }
    }

    mutating func beginSegment(nowMicroseconds: Int64) throws(SpillError) {
        precondition(lastSequence < .max, "segments are numbered with 32 bits")
        // Counted before it is tried: a number that failed is not tried again.
        lastSequence += 1
        let name = SegmentName(epoch: epoch, sequence: lastSequence)
        let file: any SpillFile
        do throws(SystemCallError) { file = try fileSystem.create(name.text) } catch {
            hasFailed = true
            throw .system(error)
        }
        let header = SpillRecord(
            segment: name, ordinal: 0, chain: 0,
            body: .header(directoryID: directoryID, createdMicroseconds: nowMicroseconds)
        ).encoded()
        let begun = Segment(name: name, file: file, endOffset: 0, nextOrdinal: 1, chain: Self.chain(header))
        segment = begun
        files.keep(name, file)
        let bytes = SpillFormat.emptyFrame + header
        bytesBySegment[name] = 0
        try bytes.span.bytes.withUnsafeBytes { (bytes) throws(SpillError) in try write(bytes, to: begun) }
        segment?.endOffset = bytes.count
        grew(name, by: bytes.count)
    }

    private mutating func write(_ bytes: UnsafeRawBufferPointer, to segment: Segment) throws(SpillError) {
        do throws(SystemCallError) {
            try segment.file.write(bytes, at: segment.endOffset)
        } catch {
            hasFailed = true
            throw .system(error)
        }
    }

    private mutating func grew(_ name: SegmentName, by bytes: Int) {
        bytesBySegment[name, default: 0] += UInt64(bytes)
        usedBytes += UInt64(bytes)
    }

    private static func chain(_ record: [UInt8]) -> UInt32 {
        record.suffix(SpillFormat.checksumBytes).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    // MARK: Durability

    /// Makes all that was appended durable: the segment's bytes, then its name.
    public mutating func sync() throws(SpillError) {
        precondition(!hasFailed, "a segment that failed is abandoned first")
        guard let current = segment, current.syncedOffset < current.endOffset || !current.isNamed else { return }
        do throws(SystemCallError) {
            try current.file.sync()
            if !current.isNamed { try fileSystem.syncFolder() }
        } catch {
            hasFailed = true
            throw .system(error)
        }
        try checkPlace(of: current)
        segment?.syncedOffset = current.endOffset
        segment?.isNamed = true
    }

    /// Ends the segment in order: seal, sync, close.
    ///
    /// - Returns: its name; nil if there is none.
    public mutating func endSegment() throws(SpillError) -> SegmentName? {
        precondition(!hasFailed, "a segment that failed is abandoned first")
        guard segment != nil else { return nil }
        // A seal says that all before it is durable: a start believes it without reading.
        try sync()
        guard let current = segment else { preconditionFailure("a sync keeps the segment") }
        let seal = SpillRecord(
            segment: current.name, ordinal: current.nextOrdinal, chain: current.chain,
            body: .seal(batches: current.batches, records: current.records)
        ).encoded()
        try seal.span.bytes.withUnsafeBytes { (bytes) throws(SpillError) in try write(bytes, to: current) }
        segment?.endOffset += seal.count
        grew(current.name, by: seal.count)
        try sync()
        segment = nil
        return current.name
    }

    /// Segments that were ended because they were full, since this was last called.
    public mutating func takeEndedSegments() -> [SegmentName] {
        defer { ended = [] }
        return ended
    }

    mutating func setBytes(_ name: SegmentName, _ bytes: UInt64) {
        usedBytes -= min(usedBytes, bytesBySegment[name] ?? 0)
        usedBytes += bytes
        bytesBySegment[name] = bytes > 0 ? bytes : nil
    }

    // MARK: Removal

    /// Removes a segment of which nothing is needed any more.
    ///
    /// - Parameter keepInQuarantine: it holds damage that could not be copied: it is moved there instead.
    /// - Throws: the segment is still there; try again later.
    public mutating func remove(_ name: SegmentName, keepInQuarantine: Bool) throws(SpillError) {
        precondition(segment?.name != name, "a segment is ended before it is removed")
        do throws(SystemCallError) {
            do throws(SystemCallError) {
                if keepInQuarantine {
                    try fileSystem.moveToQuarantine(name.text)
                } else {
                    try fileSystem.unlink(name.text)
                }
            } catch {
                // Gone already: an earlier try removed it and could not sync, or somebody has taken it away.
                guard error.code == ENOENT else { throw error }
            }
            try fileSystem.syncFolder()
        } catch {
            throw .system(error)
        }
        setBytes(name, 0)
        files.release(name)
    }
}
