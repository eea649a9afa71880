// Reads batches back.

import CChecksum
import Delivery
import LinuxSystem

/// Reads spilled batches. Used by one thread. Keeps one buffer, and no file beyond a batch: a removed segment would hold its
/// room.
public final class SpillReader {
    private let fileSystem: any SpillFileSystem
    private let files: SegmentFiles?
    /// The file of the batch that is read, between its account and its frames.
    private var last: (name: SegmentName, file: any SpillFile)?
    private var stored: UnsafeMutableRawBufferPointer = .allocate(byteCount: 0, alignment: 16)

    /// - Parameter files: what the writer keeps open; such a segment is read even after its name was taken away.
    public init(fileSystem: any SpillFileSystem, files: SegmentFiles? = nil) {
        self.fileSystem = fileSystem
        self.files = files
    }

    deinit { stored.deallocate() }

    /// Reads the frames of a batch.
    ///
    /// - Parameter target: of exactly the batch's bytes.
    /// - Throws: `damaged` when the bytes are not those that were written; `system` when the disk refused, which may
    ///   pass.
    public func read(_ batch: SpilledBatch, into target: UnsafeMutableRawBufferPointer) throws(SpillError) {
        precondition(target.count == batch.summary.byteCount)
        if stored.count < batch.storedBytes {
            stored.deallocate()
            stored = .allocate(byteCount: batch.storedBytes, alignment: 16)
        }
        let bytes = UnsafeMutableRawBufferPointer(rebasing: stored[..<batch.storedBytes])
        defer { close() }
        let count: Int
        do throws(SystemCallError) {
            count = try file(of: batch.segment).read(at: batch.frameOffset, into: bytes)
        } catch {
            throw .system(error)
        }
        guard count == bytes.count else { throw damaged(batch, "the segment ends before") }
        guard spillway_crc32c(0, bytes.baseAddress, bytes.count) == batch.storedChecksum else {
            throw damaged(batch, "the checksum of the batch does not hold")
        }
        if let reason = FrameCompressor.decompress(UnsafeRawBufferPointer(bytes), into: target) {
            throw damaged(batch, reason)
        }
    }

    /// Reads a batch's account from its header, with its sessions and which frames are acknowledged.
    ///
    /// - Throws: like `read`.
    public func summary(of batch: SpilledBatch) throws(SpillError) -> BatchSummary {
        var bytes = [UInt8](repeating: 0, count: batch.frameOffset - batch.headerOffset)
        let count: Int
        // What is read next is most likely the batch's frames.
        var isRead = false
        defer { if !isRead { close() } }
        do throws(SystemCallError) {
            let file = try file(of: batch.segment)
            var span = bytes.mutableSpan
            var target = span.mutableBytes
            count = try target.withUnsafeMutableBytes { (target) throws(SystemCallError) in
                try file.read(at: batch.headerOffset, into: target)
            }
        } catch {
            throw .system(error)
        }
        guard count == bytes.count, let record = SpillRecord(bytes), case .batch(let summary, _, _) = record.body,
            record.segment == batch.segment, summary.identity == batch.summary.identity
        else { throw damaged(batch, "its header is not the one that was written") }
        isRead = true
        return summary
    }

    /// Lets go of the open file.
    public func close() { last = nil }

    private func file(of name: SegmentName) throws(SystemCallError) -> any SpillFile {
        if let kept = files?[name] { return kept }
        if let last, last.name == name { return last.file }
        last = nil
        let file = try fileSystem.open(name.text, forReading: true)
        last = (name, file)
        return file
    }

    private func damaged(_ batch: SpilledBatch, _ reason: String) -> SpillError {
        .damaged(file: batch.segment.text, offset: batch.frameOffset, reason: reason)
    }
}
