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
    /// Its place among the batch's frames, and its bytes.
    public let place: Int
    public let bytes: Range<Int>
    /// Its client waits for an acknowledgement.
    public let isAcknowledged: Bool
}

/// What the frames of a batch have from one source.
public struct SourceRecords: Sendable, Equatable {
    /// Records with a row.
    public var rows = 0
    /// Records of kinds that this program does not know.
    public var unknownKind = 0
    /// Records of frames that were passed over, since an earlier run has stored them.
    public var resent = 0
    /// Records whose times are not accepted, of kinds that are not left out. They have no row.
    public var outOfBounds = 0

    public init() {}
}

/// The rows of one batch. Its memory is kept from batch to batch, `CopyRowWriter.keptBytesMax` of it. Not shared between threads.
public final class DecodedBatch {
    /// Rows of a batch that are held together. A batch whose frames expand to more is stored in parts: see `PartedStore`.
    public static let rowBytesMax = 32 << 20
    /// Frames between two looks at the rows' size, in bytes: they expand to at most `FrameLimits.expansionFactorMax` times as much.
    private static let frameBytesBetweenChecks = 64 << 10

    public private(set) var rows = CopyRowWriter()
    public private(set) var refused: [RefusedFrame] = []
    public private(set) var sources: [UInt64: SourceRecords] = [:]
    /// Those with a row, and those whose times are not accepted.
    public private(set) var recordCount = 0
    /// By source, the old days of its rows, where the judgement wants to know them.
    public private(set) var oldDays: [UInt64: Set<TableDay>] = [:]
    /// By what the times of records are judged at the next reading.
    public var judgement = TimeJudgement()
    /// The frames with records that are not accepted for their times.
    private(set) var outOfBounds: [OutOfBoundsFrame] = []
    /// The kinds that have rows.
    public private(set) var kinds: KindSet = []
    /// The rows were more than `rowBytesMax` and are not held; all else is the account of the whole batch.
    public private(set) var isTooLarge = false
    /// The kinds with records whose times are not accepted.
    var kindsOutOfBounds: KindSet { rows.kindsOutOfBounds }
    private var decoder = FrameDecoder()
    /// Frames that are passed over, if they are acknowledged ones.
    private(set) var storedBefore: [SessionKey: SequenceRanges] = [:]
    /// Frames that are passed over, by their places in the batch.
    private(set) var passedOver: Set<Int> = []
    /// Kinds whose records have no rows.
    private(set) var leftOut: KindSet = []

    private let rowBytesMax: Int

    /// - Parameter rowBytesMax: rows that are held together.
    public init(rowBytesMax: Int = DecodedBatch.rowBytesMax) { self.rowBytesMax = rowBytesMax }

    /// Whether the frame at a place of the batch is passed over. A datagram is not, whatever its number.
    func skips(_ header: borrowing FrameHeader, at place: Int, of summary: borrowing BatchSummary) -> Bool {
        if !passedOver.isEmpty, passedOver.contains(place) { return true }
        guard !storedBefore.isEmpty, summary.isAcknowledged(header.identity, at: place) else { return false }
        return storedBefore[SessionKey(header.identity)]?.contains(header.identity.sequence) ?? false
    }

    /// Reads all frames of a batch, after forgetting the batch before.
    ///
    /// A malformed frame gives no row and is listed in `refused`; the others are not touched by it.
    ///
    /// - Parameters:
    ///   - frames: admitted frames, one behind the other.
    ///   - summary: the account of the batch, which says which frames are acknowledged.
    ///   - firstPlace: of the first of these frames in the batch.
    ///   - storedBefore: acknowledged frames of these sessions that are passed over.
    ///   - passedOver: further frames that are passed over, by their places.
    ///   - leftOut: kinds whose records have no rows and are counted as `leftOutCount`, whatever their times.
    /// - Complexity: O(bytes), without allocation for a record.
    public func decode(
        _ frames: UnsafeRawBufferPointer, _ summary: BatchSummary = .unacknowledged, firstPlace: Int = 0,
        storedBefore: [SessionKey: SequenceRanges] = [:], passingOver passedOver: Set<Int> = [],
        leavingOut leftOut: KindSet = []
    ) {
        self.storedBefore = storedBefore
        self.passedOver = passedOver
        self.leftOut = leftOut
        kinds = []
        rows.removeAll()
        rows.leaveOut(leftOut)
        rows.judge(
            judgement.bounds.accepted(at: summary.openedMicroseconds),
            oldBefore: judgement.watchesOldDays
                ? summary.openedMicroseconds - OldChunkBudget.ageMicroseconds : .min)
        outOfBounds.removeAll()
        oldDays.removeAll()
        refused.removeAll(keepingCapacity: true)
        sources.removeAll(keepingCapacity: true)
        recordCount = 0
        isTooLarge = false
        var nextCheck = Self.frameBytesBetweenChecks
        // Frames of one source tend to follow each other: the dictionary is asked once for a run of them.
        var runSource: UInt64 = 0
        var run = SourceRecords()
        func endRun() {
            guard run != SourceRecords() else { return }
            sources[runSource, default: SourceRecords()].rows += run.rows
            sources[runSource, default: SourceRecords()].unknownKind += run.unknownKind
            sources[runSource, default: SourceRecords()].resent += run.resent
            sources[runSource, default: SourceRecords()].outOfBounds += run.outOfBounds
            recordCount += run.rows + run.outOfBounds
            run = SourceRecords()
        }
        var place = firstPlace - 1
        forEachFrame(frames) { frame, header, offset in
            place += 1
            if header.identity.source != runSource {
                endRun()
                runSource = header.identity.source
                if !judgement.denied.isEmpty { rows.deny(judgement.denied[runSource] ?? []) }
            }
            guard !skips(header, at: place, of: summary) else {
                run.resent += header.recordCount
                return
            }
            if offset >= nextCheck {
                nextCheck = offset + Self.frameBytesBetweenChecks
                endRows()
            }
            rows.beginFrame()
            do throws(FrameError) {
                try decoder.decode(frame, header: header, &rows)
                let skipped = rows.skippedInFrame
                let leftOut = rows.leftOutOfFrame()
                let refusedTimes = rows.outOfBoundsOfFrame()
                run.rows += header.recordCount - skipped - leftOut - refusedTimes
                run.unknownKind += skipped
                if refusedTimes > 0 {
                    run.outOfBounds += refusedTimes
                    outOfBounds.append(
                        OutOfBoundsFrame(
                            source: runSource, recordCount: refusedTimes, bytes: offset..<offset + header.frameLength))
                }
                let days = rows.oldDaysOfFrame
                if !days.isEmpty { oldDays[runSource, default: []].formUnion(days) }
            } catch {
                rows.rollBackFrame()
                refused.append(
                    RefusedFrame(
                        identity: header.identity, error: error, recordCount: header.recordCount, place: place,
                        bytes: offset..<offset + header.frameLength,
                        isAcknowledged: summary.isAcknowledged(header.identity, at: place)))
            }
        }
        endRun()
        endRows()
    }

    private func endRows() {
        rows.endBatch()
        isTooLarge = isTooLarge || rows.byteCount > rowBytesMax
        kinds.formUnion(rows.kinds)
        if isTooLarge { rows.removeAll() }
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
