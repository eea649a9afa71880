// The accounting at one moment, as plain values: for `/stats`, `/metrics` and the dashboard.

import LinuxSystem

/// Every count.
package struct AccountingSnapshot: Sendable {
    /// One source's part.
    package struct Source: Sendable {
        package let source: UInt64
        /// Nil before a heartbeat has said one.
        package let name: SourceName?
        package let counts: Counts
        /// Frames that are missing between those that came.
        package let sequenceGapFrames: UInt64
        /// Sessions seen.
        package let sessions: UInt64
        /// What its heartbeats say, beside what came.
        package let reconciliation: Reconciliation
        package let lastPeer: PeerAddress
        /// When a frame last came, in microseconds since the Unix epoch.
        package let lastSeenMicroseconds: Int64
    }

    package let totals: Counts
    /// `sequence_gap_frames`, over all sources. Late frames make it smaller.
    package let sequenceGapFrames: UInt64
    package let connectionsRefused: [(reason: ConnectionRefusal, count: UInt64)]
    /// `spill_bytes`: what the spill holds now.
    package let spillBytes: UInt64
    /// The records in it.
    package let spillRecords: UInt64
    /// Sessions that are counted one by one now.
    package let sessionsTracked: Int
    /// By ascending source id.
    package let sources: [Source]

    /// What all heartbeats say, beside what came.
    package var reconciliation: Reconciliation { sources.reduce(into: Reconciliation()) { $0.add($1.reconciliation) } }

    /// Records that are neither committed nor counted as lost: what is on its way. 0 at rest, unless records of an
    /// earlier start were in the spill.
    package var recordsInFlight: Int64 { Balance.inFlight(inSpill: spillRecords) { totals[$0] } }
}
