// A batch as COPY rows, with the account of where its records came from and which frames were malformed. Made once for a
// batch, whatever the number of attempts to store it.

import Delivery
import FrameCodec
import MetricKinds

/// The rows of one batch. Its memory is kept from batch to batch, `CopyRowWriter.keptBytesMax` of it. Not shared between threads.
public final class DecodedBatch {
    /// Rows of a batch that are held together. A batch whose frames expand to more is stored in parts: see `PartedStore`.
    public static let rowBytesMax = 32 << 20
    /// Frames between two looks at the rows' size, in bytes: they expand to at most `FrameLimits.expansionFactorMax` times as much.
    private static let frameBytesBetweenChecks = 64 << 10

    public private(set) var rows = CopyRowWriter()
    /// The account of all frames.
    public private(set) var contents = BatchContents()
    public var refused: [RefusedFrame] { contents.refused }
    public var sources: [UInt64: SourceRecords] { contents.sources }
    /// Those with a row, and those whose times are not accepted.
    public var recordCount: Int { contents.recordCount }
    /// By source, the old days of its rows, where the judgement wants to know them.
    public private(set) var oldDays: [UInt64: Set<TableDay>] = [:]
    /// By what the times of records are judged at the next reading.
    public var judgement = TimeJudgement()
    /// The frames with records that are not accepted for their times.
    private(set) var outOfBounds: [OutOfBoundsFrame] = []
    /// The kinds that have rows.
    public var kinds: KindSet { contents.kinds }
    /// The rows were more than `rowBytesMax` and are not held; all else is the account of the whole batch.
    public private(set) var isTooLarge = false
    /// The kinds with records whose times are not accepted.
    package var kindsOutOfBounds: KindSet { rows.kindsOutOfBounds }
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
    package func skips(_ header: borrowing FrameHeader, at place: Int, of summary: borrowing BatchSummary) -> Bool {
        if !passedOver.isEmpty, passedOver.contains(place) { return true }
        guard !storedBefore.isEmpty, summary.isAcknowledged(header.identity, at: place) else { return false }
        return storedBefore[SessionKey(header.identity)]?.contains(header.identity.sequence) ?? false
    }

    /// The places of the frames that the last reading passed over.
    package func forEachPassedOver(
        _ frames: UnsafeRawBufferPointer, _ summary: BatchSummary, _ body: (_ place: Int) -> Void
    ) {
        var place = 0
        forEachFrame(frames) { _, header, _ in
            if skips(header, at: place, of: summary) { body(place) }
            place += 1
        }
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
        contents.removeAll()
        rows.removeAll()
        rows.leaveOut(leftOut)
        rows.judge(
            judgement.bounds.accepted(at: summary.openedMicroseconds),
            oldBefore: judgement.watchesOldDays
                ? summary.openedMicroseconds - OldChunkBudget.ageMicroseconds : .min)
        outOfBounds.removeAll()
        oldDays.removeAll()
        isTooLarge = false
        var nextCheck = Self.frameBytesBetweenChecks
        // Frames of one source tend to follow each other: the dictionary is asked once for a run of them.
        var runSource: UInt64 = 0
        var run = SourceRecords()
        func endRun() {
            guard run != SourceRecords() else { return }
            contents.sources[runSource, default: SourceRecords()].add(run)
            contents.recordCount += run.rows + run.outOfBounds
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
                contents.refused.append(
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
        contents.kinds.formUnion(rows.kinds)
        if isTooLarge { rows.removeAll() }
    }
}

/// Walks admitted frames that stand one behind the other. A frame that is not one breaks the batch's invariant, and traps.
package func forEachFrame(_ frames: UnsafeRawBufferPointer, _ body: (RawSpan, FrameHeader, _ offset: Int) -> Void) {
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
