// What the writer does about segments that something other than the collector removed, replaced or cut, and about a spill that
// takes nothing although there is room again.

import CChecksum
import Delivery
import LinuxSystem

extension SpillWriter {
    /// What was done to a segment from outside; nil if it is as it was written. Two system calls.
    ///
    /// - Throws: `system` when it cannot be known.
    func disturbance(of name: SegmentName) throws(SpillError) -> SegmentDisturbance? {
        do throws(SystemCallError) {
            guard let named = try fileSystem.identity(of: name.text) else { return .removed }
            if let held = try file(of: name)?.identity(), !held.isSameFile(as: named) { return .replaced }
            return UInt64(max(0, named.sizeBytes)) < bytes(of: name) ? .cut : nil
        } catch {
            throw .system(error)
        }
    }

    /// Writes a batch of another segment again, to the segment that is written now. Durable after `sync`, like `append`. Its
    /// LZ4 frame stays as it is. The quota does not count: the batch was within it, and nothing else has it.
    ///
    /// - Throws: `damaged` where the batch cannot be read any more, else like `append`.
    mutating func copy(_ batch: SpilledBatch, nowMicroseconds: Int64) throws(SpillError) -> SpilledBatch {
        let headerBytes = batch.frameOffset - batch.headerOffset
        reserveBuffer(headerBytes + batch.storedBytes)
        let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(headerBytes + batch.storedBytes)])
        func damaged(_ reason: String) -> SpillError {
            .damaged(file: batch.segment.text, offset: batch.headerOffset, reason: reason)
        }
        let count: Int
        do throws(SystemCallError) {
            let source: any SpillFile
            if let kept = file(of: batch.segment) {
                source = kept
            } else {
                source = try fileSystem.open(batch.segment.text, forReading: true)
            }
            count = try source.read(at: batch.headerOffset, into: bytes)
        } catch {
            guard case .damaged = SpillError.system(error).readFailure else { throw .system(error) }
            throw damaged("\(error)")
        }
        guard count == bytes.count else { throw damaged("the segment ends before") }
        guard let record = SpillRecord(Array(bytes[..<headerBytes])), record.segment == batch.segment,
            case .batch(let summary, _, _) = record.body, summary.identity == batch.summary.identity,
            SpillRecord.batchRecordBytes(summary) == headerBytes
        else { throw damaged("its header is not the one that was written") }
        let stored = UnsafeRawBufferPointer(rebasing: bytes[headerBytes...])
        guard spillway_crc32c(0, stored.baseAddress, stored.count) == batch.storedChecksum else {
            throw damaged("the checksum of the batch does not hold")
        }
        return try put(
            summary, storedBytes: batch.storedBytes, storedChecksum: batch.storedChecksum,
            nowMicroseconds: nowMicroseconds, isBounded: false)
    }

    /// Forgets the bytes of a segment that is no longer on the disk under its name.
    mutating func forgetBytes(of name: SegmentName) { setBytes(name, 0) }

    /// Whether the spill would take a batch like the last one: quota and disk have room for it, and a segment can be begun and
    /// synced.
    ///
    /// - Throws: like `append` and `sync`; then abandon the segment, unless the quota is reached.
    mutating func probe(nowMicroseconds: Int64) throws(SpillError) {
        try checkRoom(for: lastBatchBytes)
        let space: DiskSpace
        do throws(SystemCallError) { space = try fileSystem.space() } catch { throw .system(error) }
        guard space.freeBytes >= UInt64(lastBatchBytes) else {
            throw .quotaReached(reason: "the disk has \(space.freeBytes) bytes left")
        }
        if segment == nil { try beginSegment(nowMicroseconds: nowMicroseconds) }
        try sync()
    }
}
