// Which rows a writer takes back for their times, and which old days the others have.

import Delivery
import MetricKinds

/// What holds for a batch and, but for the limits, for its present frame.
struct TimeSieve {
    /// Rows with other times are taken back and counted, in microseconds since the Unix epoch.
    private var accepted = Int64.min...Int64.max
    /// The days of rows before this time are collected.
    private var oldBefore = Int64.min
    /// Rows of these days are taken back as well.
    var deniedDays: Set<TableDay> = []
    /// The kinds of which rows were taken back.
    private(set) var kindsOutOfBounds: KindSet = []
    private(set) var outOfBoundsOfFrame = 0
    private(set) var oldDaysOfFrame: Set<TableDay> = []

    init() {}

    init(_ accepted: ClosedRange<Int64>, oldBefore: Int64) {
        self.accepted = accepted
        self.oldBefore = oldBefore
    }

    mutating func beginFrame() {
        outOfBoundsOfFrame = 0
        if !oldDaysOfFrame.isEmpty { oldDaysOfFrame.removeAll() }
    }

    /// Whether rows between these times must be looked at. Of a block without rows the first is behind the second.
    func concerns(_ earliest: Int64, _ latest: Int64) -> Bool {
        earliest < max(accepted.lowerBound, oldBefore) || latest > accepted.upperBound || !deniedDays.isEmpty
    }

    /// Takes a block whose rows are all of one accepted day, as records that come together mostly are.
    ///
    /// - Returns: false where each row must be looked at.
    mutating func takesBlock(_ kind: MetricKind, _ earliest: Int64, _ latest: Int64, rowCount: Int) -> Bool {
        let day = TableDay(kind, at: earliest)
        guard accepted.contains(earliest), accepted.contains(latest), day == TableDay(kind, at: latest),
            !deniedDays.contains(day)
        else { return false }
        if rowCount > 0, earliest < oldBefore { oldDaysOfFrame.insert(day) }
        return true
    }

    /// - Returns: whether the row stays.
    mutating func takesRow(_ kind: MetricKind, at time: Int64) -> Bool {
        let isDenied = !deniedDays.isEmpty && deniedDays.contains(TableDay(kind, at: time))
        guard accepted.contains(time), !isDenied else {
            outOfBoundsOfFrame += 1
            kindsOutOfBounds.insert(KindSet(kind))
            return false
        }
        if time < oldBefore { oldDaysOfFrame.insert(TableDay(kind, at: time)) }
        return true
    }
}
