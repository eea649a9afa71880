// The names of what the conservation ledger counts. They are those of `/stats` and, with `spillway_` before and
// `_total` behind, of `/metrics`.

/// A counter of the conservation ledger. Frames are record frames; heartbeats have a counter of their own.
public enum LedgerCounter: Int, CaseIterable, Sendable {
    /// Every datagram read from a socket, whatever was in it. By source: those whose first frame was admitted.
    case datagramsReceived
    /// Frames that passed admission and were not recognised as resent.
    case framesReceived
    /// Records of those frames, and those that an earlier run had left in the spill.
    case recordsReceived
    /// Header and payload of those frames.
    case bytesReceived
    /// Datagrams that the kernel dropped. No source: nobody has seen who sent them.
    case kernelDrops
    /// Records of received frames that found the ring full.
    case ringFullDrops
    case ringFullDropFrames
    /// Frames recognised as resent. They count here and nowhere else.
    case duplicateFrames
    /// Frames so late that the sequence window could not tell whether they are resent. They are received, too.
    case framesBehindWindow
    /// Records in the database, those that were replayed included.
    case recordsCommitted
    case recordsSpilled
    /// Those of the committed records that came from the spill.
    case recordsReplayed
    case recordsDeadLettered
    /// Records whose row a trigger of the database suppressed, so that COPY did not store it.
    case recordsSuppressed
    /// Those of the records in dead letters whose times are not accepted.
    case recordsOutOfBounds
    /// Records of frames that were received and found malformed when they were decoded.
    case recordsRefused
    /// Records of kinds that this program does not know.
    case recordsUnknownKind
    /// Records that the spill had no room for.
    case quotaDrops
    case quotaDropFrames
    /// Those of the received records that an earlier run had left in the spill.
    case recordsRecovered
    /// Records of frames that were recognised as resent only when they were to be stored.
    case recordsResent
    /// Records of spilled batches that were damaged on disk.
    case recordsDamaged
    case heartbeatsReceived
    /// Frames of sources beyond `ConservationLedger.Limits.sourcesMax`: received, but counted in total alone.
    case sourcesUntrackedFrames
    /// Sessions that made room for new ones; one that comes back may be evicted again.
    case sessionsEvicted
    case connectionsAccepted
    /// Frames and heartbeats with numbers that their session cannot have reached. The frames are received, too; the numbers
    /// change no other counter.
    case implausibleSequences

    /// For example `records_received`.
    public var name: String { Self.names[rawValue] }

    private static let names = [
        "datagrams_received", "frames_received", "records_received", "bytes_received", "kernel_drops",
        "ring_full_drops", "ring_full_drop_frames", "duplicate_frames", "frames_behind_window", "records_committed",
        "records_spilled", "records_replayed", "records_dead_lettered", "records_suppressed", "records_out_of_bounds",
        "records_refused",
        "records_unknown_kind",
        "quota_drops", "quota_drop_frames", "records_recovered", "records_resent", "records_damaged",
        "heartbeats_received", "sources_untracked_frames", "sessions_evicted",
        "connections_accepted", "implausible_sequences",
    ]
}

/// Why a connection was turned away or ended by the collector.
public enum ConnectionRefusal: Int, CaseIterable, Sendable {
    /// The cap on connections in all.
    case tooManyConnections
    /// The cap on connections from one address.
    case tooManyFromAddress
    /// A frame that had begun was not whole in time.
    case frameDeadline
    /// Nothing came for too long.
    case idleDeadline
    /// There was no room to remember another session that waits for acknowledgements, or another gap of one: all that is
    /// remembered is on its way. The client keeps its frames and comes again.
    case tooManySessions
    /// It came while the collector was stopping.
    case stopping
    /// No descriptor was free for the next connection, which waits. Each attempt counts.
    case tooManyOpenFiles

    /// For example `too_many_connections`.
    public var name: String {
        switch self {
        case .tooManyConnections: "too_many_connections"
        case .tooManyFromAddress: "too_many_from_address"
        case .frameDeadline: "frame_deadline"
        case .idleDeadline: "idle_deadline"
        case .tooManySessions: "too_many_sessions"
        case .stopping: "stopping"
        case .tooManyOpenFiles: "too_many_open_files"
        }
    }
}
