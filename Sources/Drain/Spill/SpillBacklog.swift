// What waits in the spill, watched for one line in the log when the last of it is stored.

/// The backlog as it grows and goes. Belongs to one thread.
package struct SpillBacklog {
    private var records: UInt64
    private var since: UInt64
    /// The most that waited at a time.
    private var recordsMost: UInt64
    /// An earlier run left it: its start was logged, and so is its end, however soon.
    private var isOfEarlierRun: Bool
    /// A short wait is no outage: a busy lane sends a batch this way now and then.
    private static let worthNanoseconds: UInt64 = 1_000_000_000

    /// - Parameter recovered: the records that the spill held at the start.
    package init(recovered: UInt64, now: UInt64) {
        (records, recordsMost, since) = (recovered, recovered, now)
        isOfEarlierRun = recovered > 0
    }

    /// - Parameter waiting: the records that the spill holds now.
    /// - Returns: a line for the log, when the spill has just become empty after it had records for more than a moment.
    package mutating func observe(_ waiting: UInt64, now: UInt64) -> String? {
        defer { records = waiting }
        if waiting > 0 {
            if records == 0 { (since, recordsMost) = (now, 0) }
            recordsMost = max(recordsMost, waiting)
            return nil
        }
        defer { isOfEarlierRun = false }
        guard records > 0, isOfEarlierRun || now &- since >= Self.worthNanoseconds else { return nil }
        return "the replay has ended: the spill is empty after \((now &- since) / 1_000_000_000) s, it held up to "
            + "\(recordsMost) records"
    }
}
