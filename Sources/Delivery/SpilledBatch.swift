// Where a batch lies in the spill.

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

    /// Where the batch ends.
    public var endOffset: Int { frameOffset + storedBytes }
    /// Header and frame, in bytes.
    public var diskBytes: Int { endOffset - headerOffset }
}
