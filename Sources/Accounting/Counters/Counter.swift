// What the accounting counts, a row each: the case is the counter's id and its name, the text is its help. `/stats`, `/metrics`,
// `spillway stats` and every struct of counters follow from these rows.

/// A counter, which only grows. Frames are record frames; heartbeats have a counter of their own.
package enum Counter: String, CaseIterable, Sendable {
    case datagramsReceived = "Datagrams read from sockets. By source: those whose first frame was admitted."
    case framesReceived = "Frames that passed admission and were not recognised as resent."
    case recordsReceived = "Records of those frames, and those that an earlier run had left in the spill."
    case bytesReceived = "Bytes of those frames, header and payload."
    case kernelDrops = "Datagrams that the kernel dropped because a socket's buffer was full. Of no known source."
    case ringFullDrops = "Records of received frames that were dropped because the ring was full."
    case ringFullDropFrames = "Frames that were dropped because the ring was full."
    case duplicateFrames = "Frames recognised as resent. They count here and nowhere else."
    case framesBehindWindow = "Frames too late to say whether they were resent. They are received, too."
    case recordsCommitted = "Records committed to the database, those that were replayed included."
    case recordsSpilled = "Records written to the spill."
    case recordsReplayed = "Committed records that came from the spill."
    case recordsDeadLettered = "Records that the database refused, kept in spillway.dead_letters."
    case recordsSuppressed = "Records that a trigger of the database kept out of their table."
    case recordsOutOfBounds = "Records in dead letters whose times are outside of accept-past and accept-future."
    case recordsRefused = "Records of frames that were received and found malformed when they were decoded."
    case recordsUnknownKind = "Records of kinds that this program does not know."
    case quotaDrops = "Records that the spill had no room for."
    case quotaDropFrames = "Frames that the spill had no room for."
    case recordsRecovered = "Those of the received records that an earlier run had left in the spill."
    case recordsResent = "Records that turned out to be stored already when they were to be stored."
    case recordsDamaged = "Records of spilled batches that were damaged on disk."
    case heartbeatsReceived = "Heartbeat frames."
    case sourcesUntrackedFrames = "Frames of sources beyond the cap on accounts: received, but counted in total alone."
    case sessionsEvicted = "Sessions whose accounts made room for new ones. One that returns may be evicted again."
    case connectionsAccepted = "TCP connections."
    case implausibleSequences =
        "Frames and heartbeats with numbers that their session cannot have reached. They change no other counter."

    /// The counter's row, from 0.
    var id: Int {
        // The tag of an enumeration without payloads is the number of the case. A test compares it with `allCases`.
        Int(unsafeBitCast(self, to: UInt8.self))
    }

    /// For example `records_received`: that of `/stats`, and with `spillway_` before and `_total` after it of `/metrics`.
    package var name: String { Self.names[id] }

    /// One line.
    package var help: String { rawValue }

    /// The names of the cases in the form of a metric's name.
    private static let names = allCases.map { counter in
        "\(counter)".reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
    }
}
