// What the frames of a batch turned out to hold when they were decoded, without the rows.

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

    package init(
        identity: FrameIdentity, error: FrameError, recordCount: Int, place: Int, bytes: Range<Int>,
        isAcknowledged: Bool
    ) {
        self.identity = identity
        self.error = error
        self.recordCount = recordCount
        self.place = place
        self.bytes = bytes
        self.isAcknowledged = isAcknowledged
    }
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

    package mutating func add(_ other: SourceRecords) {
        rows += other.rows
        unknownKind += other.unknownKind
        resent += other.resent
        outOfBounds += other.outOfBounds
    }
}

/// The account of a decoded batch.
public struct BatchContents: Sendable {
    public var sources: [UInt64: SourceRecords] = [:]
    public var refused: [RefusedFrame] = []
    /// Records with a row, and those whose times are not accepted.
    public var recordCount = 0
    /// The kinds that have rows.
    public var kinds: KindSet = []

    public init() {}

    package mutating func removeAll() {
        sources.removeAll(keepingCapacity: true)
        refused.removeAll(keepingCapacity: true)
        recordCount = 0
        kinds = []
    }
}
