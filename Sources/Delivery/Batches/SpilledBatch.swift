// Where a batch lies in the spill, and how much of it is stored.

import MetricKinds

/// What this run has stored and counted of a spilled batch, some of whose tables accept nothing.
public struct StoredPart: Equatable, Sendable {
    /// The kinds whose rows are stored.
    public let kinds: KindSet
    /// The records that wait, by kind.
    public let waiting: [MetricKind: Int]
    /// The places of frames of which nothing waits, since another batch, or an earlier attempt at this one, has stored them.
    public let settledFrames: Set<Int>

    public init(kinds: KindSet, waiting: [MetricKind: Int], settledFrames: Set<Int> = []) {
        self.kinds = kinds
        self.waiting = waiting
        self.settledFrames = settledFrames
    }

    /// The kinds that wait.
    public var waitingKinds: KindSet { KindSet(waiting.keys) }
}

/// A batch in a segment.
public struct SpilledBatch: Equatable, Sendable {
    public private(set) var summary: BatchSummary
    public let segment: SegmentName
    /// Where its header begins, in bytes from the segment's start.
    public let headerOffset: Int
    /// Where its LZ4 frame begins.
    public let frameOffset: Int
    /// The LZ4 frame's bytes.
    public let storedBytes: Int
    /// CRC32C of the LZ4 frame.
    public let storedChecksum: UInt32
    /// Nil until this run has stored a part of it.
    package var part: StoredPart?

    package init(
        summary: BatchSummary, segment: SegmentName, headerOffset: Int, frameOffset: Int, storedBytes: Int,
        storedChecksum: UInt32
    ) {
        self.summary = summary
        self.segment = segment
        self.headerOffset = headerOffset
        self.frameOffset = frameOffset
        self.storedBytes = storedBytes
        self.storedChecksum = storedChecksum
    }

    /// The same without what grows with the number of its frames, which is read again with the batch.
    public var withoutSessions: SpilledBatch {
        var batch = self
        batch.summary.sessions = []
        batch.summary.acknowledged = nil
        return batch
    }

    /// The kinds whose tables it waits for.
    package var waitingKinds: KindSet { part?.waitingKinds ?? [] }

    /// The records of it that are neither stored nor counted.
    package var recordsLeft: Int {
        part.map { $0.waiting.values.reduce(0, +) } ?? summary.recordCount
    }

    /// Where the batch ends.
    public var endOffset: Int { frameOffset + storedBytes }
    /// Header and frame, in bytes.
    public var diskBytes: Int { endOffset - headerOffset }
}

/// The number of a batch in memory.
package typealias BatchSlot = Int

/// A batch in memory and where it is in the spill.
package struct SpilledSlot: Sendable, Equatable {
    package let slot: BatchSlot
    package let batch: SpilledBatch

    package init(slot: BatchSlot, batch: SpilledBatch) {
        self.slot = slot
        self.batch = batch
    }
}
