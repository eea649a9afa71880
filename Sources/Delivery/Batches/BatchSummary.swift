// What is known of a batch without reading its frames. It travels with the batch: into the spill's header, and into the
// database's ledger.

import FrameCodec

/// The account of a closed batch.
public struct BatchSummary: Equatable, Sendable {
    public var identity: BatchIdentity
    /// Records that its frames' headers claim.
    public var recordCount: Int
    public var frameCount: Int
    /// Bytes of all frames.
    public var byteCount: Int
    /// When its first frame came in, in microseconds since the Unix epoch.
    public var openedMicroseconds: Int64
    /// The sequences of the frames that are to be acknowledged, by session in ascending order; each session once.
    public var sessions: [SessionFrames]
    /// Which frames these are. Nil for a batch of the spill whose writer did not keep it: there each frame whose identity is in
    /// `sessions` counts as one of them.
    public var acknowledged: FrameFlags?

    public init(
        identity: BatchIdentity, recordCount: Int, frameCount: Int, byteCount: Int, openedMicroseconds: Int64,
        sessions: [SessionFrames] = [], acknowledged: FrameFlags? = nil
    ) {
        self.identity = identity
        self.recordCount = recordCount
        self.frameCount = frameCount
        self.byteCount = byteCount
        self.openedMicroseconds = openedMicroseconds
        self.sessions = sessions
        self.acknowledged = acknowledged
    }

    /// The same with other sessions.
    public func with(sessions: [SessionFrames]) -> BatchSummary {
        var changed = self
        changed.sessions = sessions
        return changed
    }

    /// The account of frames that no client waits for, for example a single frame.
    public static let unacknowledged = BatchSummary(
        identity: BatchIdentity(epoch: 0, sequence: 1), recordCount: 0, frameCount: 0, byteCount: 0,
        openedMicroseconds: 0)

    /// Whether the client of the frame at this place waits for its acknowledgement.
    public func isAcknowledged(_ frame: FrameIdentity, at place: Int) -> Bool {
        guard frame.sequence > 0, !sessions.isEmpty else { return false }
        if let acknowledged { return acknowledged[place] }
        let key = SessionKey(frame)
        return sessions.contains { $0.key == key && $0.sequences.contains(frame.sequence) }
    }
}
