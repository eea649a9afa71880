// The ledger at one moment, as plain values: for `/stats`, `/metrics` and the dashboard.

/// Everything the ledger knows.
public struct LedgerSnapshot: Sendable {
    /// One source's part.
    public struct Source: Sendable {
        public let source: UInt64
        /// Nil before a heartbeat has said one.
        public let name: SourceName?
        public let counts: LedgerCounts
        /// Frames that are missing between those that came.
        public let sequenceGapFrames: UInt64
        /// Sessions seen.
        public let sessions: UInt64
        /// What its heartbeats say, beside what came.
        public let reconciliation: Reconciliation
        public let lastPeer: PeerAddress
        /// When a frame last came, in microseconds since the Unix epoch.
        public let lastSeenMicroseconds: Int64
    }

    public let totals: LedgerCounts
    /// `sequence_gap_frames`, over all sources. Late frames make it smaller.
    public let sequenceGapFrames: UInt64
    public let connectionsRefused: [(reason: ConnectionRefusal, count: UInt64)]
    /// `spill_bytes`: what the spill holds now.
    public let spillBytes: UInt64
    /// The records in it.
    public let spillRecords: UInt64
    /// Sessions that are counted one by one now.
    public let sessionsTracked: Int
    /// By ascending source id.
    public let sources: [Source]

    /// What all heartbeats say, beside what came.
    public var reconciliation: Reconciliation { sources.reduce(into: Reconciliation()) { $0.add($1.reconciliation) } }

    /// Records that are neither committed nor counted as lost: what is on its way. 0 at rest, unless records of an
    /// earlier start were in the spill.
    public var recordsInFlight: Int64 {
        let settled: [LedgerCounter] = [
            .recordsCommitted, .recordsDeadLettered, .recordsSuppressed, .ringFullDrops, .quotaDrops, .recordsRefused,
            .recordsUnknownKind,
            .recordsResent, .recordsDamaged,
        ]
        let accounted = settled.reduce(spillRecords) { $0 &+ totals[$1] }
        return Int64(truncatingIfNeeded: totals[.recordsReceived] &- accounted)
    }
}
