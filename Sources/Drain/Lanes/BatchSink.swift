// Where a lane's batches go. A lane decides what is stored and when; a sink stores it.

import Delivery
import FrameCodec
import MetricKinds
import Postgres
import StoreWriter

/// Why a sink did not store a batch, or could not be reached. Its description is one line for the log.
package protocol SinkFailure: Error, CustomStringConvertible {
    /// The kind whose table refuses whatever is sent to it. The rest of a batch can be stored without its rows.
    var refusingKind: MetricKind? { get }
    /// Frames of the batch are stored already: `storedFrames` knows which.
    var areFramesStoredBefore: Bool { get }
    /// It passes by itself: another collector or another attempt was faster, or the stop ended the attempt.
    var passesByItself: Bool { get }
}

/// A lane's way to a store. Used by the lane's thread.
package protocol BatchSink {
    associatedtype Failure: SinkFailure

    /// False before the first `connect` and after a failure that ended the connection.
    var isConnected: Bool { get }
    /// By what the times of records are judged.
    var judgement: TimeJudgement { get }

    mutating func connect() throws(Failure)

    /// Which frames of a batch are stored already, by whichever collector.
    mutating func storedFrames(among frames: [SessionFrames]) throws(Failure) -> [SessionKey: SequenceRanges]

    /// One attempt to store a batch.
    ///
    /// - Parameters:
    ///   - frames: the batch's frames.
    ///   - decoded: their rows, without those of frames that are stored already.
    ///   - isReplay: it came from the spill, and may be stored already.
    ///   - held: kinds whose rows are left out. Only for a batch of the spill.
    ///   - counted: what this run has counted of a batch that was stored in part.
    mutating func store(
        _ summary: BatchSummary, frames: UnsafeRawBufferPointer, decoded: DecodedBatch, isReplay: Bool,
        without held: KindSet, counted: StoredPart?
    ) throws(Failure) -> StoredBatch
}

/// Decoding is all that is done.
package struct DiscardSink: BatchSink {
    /// It never fails.
    package typealias Failure = DatabaseError

    package var isConnected: Bool { true }
    package let judgement: TimeJudgement

    /// - Parameter bounds: the times of records that are accepted.
    package init(bounds: TimeBounds) { judgement = TimeJudgement(bounds) }

    package func connect() {}

    package func storedFrames(among frames: [SessionFrames]) -> [SessionKey: SequenceRanges] { [:] }

    package func store(
        _ summary: BatchSummary, frames: UnsafeRawBufferPointer, decoded: DecodedBatch, isReplay: Bool,
        without held: KindSet, counted: StoredPart?
    ) -> StoredBatch {
        StoredBatch()
    }
}
