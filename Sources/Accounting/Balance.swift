// The balance equation, once: every record that was received is at one of these places.

/// Where the records are that were received.
package enum Balance {
    /// The records that wait in the spill.
    package static let inSpill = "records_in_spill"

    /// The counters of records that have come to rest, and what they mean in a report, in its order. At rest
    /// `records_received` is the sum of these counters and of the records in the spill.
    package static let settled: [(counter: Counter, meaning: String)] = [
        (.recordsCommitted, "in the database"),
        (.recordsDeadLettered, "became dead letters"),
        (.recordsSuppressed, "not stored: suppressed by a trigger"),
        (.ringFullDrops, "lost: the ring was full"),
        (.quotaDrops, "lost: the spill was full"),
        (.recordsRefused, "lost: found malformed"),
        (.recordsUnknownKind, "lost: of unknown kinds"),
        (.recordsDamaged, "lost: damaged in the spill"),
        (.recordsResent, "stored before: resent ones"),
    ]

    /// Records that are neither settled nor in the spill: what is on its way. 0 at rest.
    package static func inFlight(inSpill: UInt64, _ value: (Counter) -> UInt64) -> Int64 {
        let accounted = settled.reduce(inSpill) { $0 &+ value($1.counter) }
        return Int64(truncatingIfNeeded: value(.recordsReceived) &- accounted)
    }
}
