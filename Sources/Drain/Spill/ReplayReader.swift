// A lane's own memory for batches of the spill, and the check that what was read holds admitted frames only: the directory may
// have come from anywhere.

import Delivery
import FrameCodec
import SpillLog

/// Reads one batch after the other. Used by one thread.
package final class ReplayReader {
    private let reader: SpillReader
    private var memory: UnsafeMutableRawBufferPointer = .allocate(byteCount: 0, alignment: 16)
    private var count = 0

    /// Memory beyond this is given back behind the batch that needed it.
    private static let bytesKept = 16 << 20

    /// - Parameter files: those that the writer keeps open.
    package init(fileSystem: any SpillFileSystem, files: SegmentFiles) {
        reader = SpillReader(fileSystem: fileSystem, files: files)
    }

    package convenience init(_ directory: SpillDirectory) {
        self.init(fileSystem: directory.fileSystem, files: directory.files)
    }

    deinit { memory.deallocate() }

    /// Reads a batch, whose frames `withFrames` then gives.
    package func read(_ batch: SpilledBatch) throws(SpillError) {
        count = 0
        let needed = batch.summary.byteCount
        if memory.count < needed || (memory.count > Self.bytesKept && needed <= Self.bytesKept) {
            memory.deallocate()
            memory = .allocate(byteCount: needed, alignment: 16)
        }
        try reader.read(batch, into: UnsafeMutableRawBufferPointer(rebasing: memory[..<needed]))
        try check(UnsafeRawBufferPointer(rebasing: memory[..<needed]), batch)
        count = needed
    }

    /// The account of a batch with its sessions, which are not kept in memory.
    package func summary(of batch: SpilledBatch) throws(SpillError) -> BatchSummary { try reader.summary(of: batch) }

    package func withFrames<Failure: Error>(_ body: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
        try body(UnsafeRawBufferPointer(rebasing: memory[..<count]))
    }

    private func check(_ bytes: UnsafeRawBufferPointer, _ batch: SpilledBatch) throws(SpillError) {
        var offset = 0
        var (frames, records) = (0, 0)
        while offset < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...]).bytes
            do throws(FrameError) {
                let header = try FrameHeader.admit(rest)
                guard header.type == .records else { throw FrameError(.unknownType, at: 0) }
                offset += header.frameLength
                frames += 1
                records += header.recordCount
            } catch {
                throw .damaged(
                    file: batch.segment.text, offset: batch.frameOffset, reason: "byte \(offset) of the batch: \(error)"
                )
            }
        }
        // What the books are kept by.
        guard frames == batch.summary.frameCount, records == batch.summary.recordCount else {
            throw .damaged(
                file: batch.segment.text, offset: batch.headerOffset,
                reason: "its header tells of \(batch.summary.frameCount) frames with \(batch.summary.recordCount) "
                    + "records; there are \(frames) with \(records)")
        }
    }
}
