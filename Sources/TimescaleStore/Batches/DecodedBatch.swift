// A batch as COPY rows, with the account of where its records came from and which frames were malformed. Made once for a
// batch, whatever the number of attempts to store it.

import Delivery
import FrameCodec
import MetricKinds

/// A frame that passed admission and turned out to be malformed when its payload was read.
public struct RefusedFrame: Sendable, Equatable {
    public let identity: FrameIdentity
    public let error: FrameError
    /// Records that its header claims.
    public let recordCount: Int
    /// Where it stands in the batch.
    public let bytes: Range<Int>
}

/// What the frames of a batch have from one source.
public struct SourceRecords: Sendable, Equatable {
    /// Records with a row.
    public var rows = 0
    /// Records of kinds that this program does not know.
    public var unknownKind = 0
    /// Records of frames that were passed over, since an earlier run has stored them.
    public var resent = 0
}

/// The rows of one batch. Its memory is kept from batch to batch. Not shared between threads.
public final class DecodedBatch {
    public private(set) var rows = CopyRowWriter()
    public private(set) var refused: [RefusedFrame] = []
    public private(set) var sources: [UInt64: SourceRecords] = [:]
    public private(set) var recordCount = 0
    private var decoder = FrameDecoder()
    /// Frames that are passed over.
    private(set) var storedBefore: [SessionKey: SequenceRanges] = [:]

    public init() {}

    /// Whether the frame is passed over.
    func skips(_ header: borrowing FrameHeader) -> Bool {
        guard !storedBefore.isEmpty, header.identity.sequence > 0 else { return false }
        return storedBefore[SessionKey(header.identity)]?.contains(header.identity.sequence) ?? false
    }

    /// Reads all frames of a batch, after forgetting the batch before.
    ///
    /// A malformed frame gives no row and is listed in `refused`; the others are not touched by it.
    ///
    /// - Parameters:
    ///   - frames: admitted frames, one behind the other.
    ///   - storedBefore: frames of these sessions that are passed over.
    /// - Complexity: O(bytes), without allocation for a record.
    public func decode(_ frames: UnsafeRawBufferPointer, storedBefore: [SessionKey: SequenceRanges] = [:]) {
        self.storedBefore = storedBefore
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
            sources[runSource, default: SourceRecords()].resent += run.resent
            recordCount += run.rows
            run = SourceRecords()
        }
        forEachFrame(frames) { frame, header, offset in
            if header.identity.source != runSource {
                endRun()
                runSource = header.identity.source
            }
            guard !skips(header) else {
                run.resent += header.recordCount
                return
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
                        identity: header.identity, error: error, recordCount: header.recordCount,
                        bytes: offset..<offset + header.frameLength))
            }
        }
        endRun()
        rows.endBatch()
    }
}

/// Walks admitted frames that stand one behind the other. A frame that is not one breaks the batch's invariant, and traps.
func forEachFrame(_ frames: UnsafeRawBufferPointer, _ body: (RawSpan, FrameHeader, _ offset: Int) -> Void) {
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
        body(frame.bytes, header, offset)
        offset += header.frameLength
    }
}
