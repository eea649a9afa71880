// A batch as COPY rows, with the account of where its records came from and which frames were malformed. Made once for a
// batch, whatever the number of attempts to store it.

import FrameCodec
import MetricKinds

/// A frame that passed admission and turned out to be malformed when its payload was read.
public struct RefusedFrame: Sendable, Equatable {
    public let source: UInt64
    public let error: FrameError
    /// Records that its header claims.
    public let recordCount: Int
}

/// What the frames of a batch have from one source.
public struct SourceRecords: Sendable, Equatable {
    /// Records with a row.
    public var rows = 0
    /// Records of kinds that this program does not know.
    public var unknownKind = 0
}

/// The rows of one batch. Its memory is kept from batch to batch. Not shared between threads.
public final class DecodedBatch {
    public private(set) var rows = CopyRowWriter()
    public private(set) var refused: [RefusedFrame] = []
    public private(set) var sources: [UInt64: SourceRecords] = [:]
    public private(set) var recordCount = 0
    private var decoder = FrameDecoder()

    public init() {}

    /// Reads all frames of a batch, after forgetting the batch before.
    ///
    /// A malformed frame gives no row and is listed in `refused`; the others are not touched by it.
    ///
    /// - Parameter frames: admitted frames, one behind the other.
    /// - Complexity: O(bytes), without allocation for a record.
    public func decode(_ frames: UnsafeRawBufferPointer) {
        rows.removeAll()
        refused.removeAll(keepingCapacity: true)
        sources.removeAll(keepingCapacity: true)
        recordCount = 0
        // Frames of one source tend to follow each other: the dictionary is asked once for a run of them.
        var runSource: UInt64 = 0
        var run = SourceRecords()
        func endRun() {
            guard run != SourceRecords() else { return }
            sources[runSource, default: SourceRecords()].rows += run.rows
            sources[runSource, default: SourceRecords()].unknownKind += run.unknownKind
            recordCount += run.rows
            run = SourceRecords()
        }
        forEachFrame(frames) { frame, header in
            if header.identity.source != runSource {
                endRun()
                runSource = header.identity.source
            }
            rows.beginFrame()
            do throws(FrameError) {
                try decoder.decode(frame, header: header, &rows)
                let skipped = rows.skippedInFrame
                run.rows += header.recordCount - skipped
                run.unknownKind += skipped
            } catch {
                rows.rollBackFrame()
                refused.append(
                    RefusedFrame(
                        source: header.identity.source, error: error, recordCount: header.recordCount))
            }
        }
        endRun()
        rows.endBatch()
    }
}

/// Walks admitted frames that stand one behind the other. A frame that is not one breaks the batch's invariant, and traps.
func forEachFrame(_ frames: UnsafeRawBufferPointer, _ body: (RawSpan, FrameHeader) -> Void) {
    var offset = 0
    while offset < frames.count {
        let rest = UnsafeRawBufferPointer(rebasing: frames[offset...]).bytes
        let header: FrameHeader
        do throws(FrameError) {
            header = try FrameHeader.read(rest)
        } catch {
            preconditionFailure("a batch holds admitted frames only: \(error)")
        }
        precondition(header.frameLength <= frames.count - offset)
        let frame = UnsafeRawBufferPointer(rebasing: frames[offset..<offset + header.frameLength])
        body(frame.bytes, header)
        offset += header.frameLength
    }
}
