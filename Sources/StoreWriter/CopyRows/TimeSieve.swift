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
    private var deniedDays: Set<TableDay> = []
    /// Blocks whose rows all have times between these two are taken as they are: what is asked for each of them must not cost
    /// a look into a set. Outside of a denial they are the accepted times that are not old.
    private var plainFrom = Int64.min
    private var plainUpTo = Int64.max
    /// The kinds of which rows were taken back.
    private(set) var kindsOutOfBounds: KindSet = []
    private(set) var outOfBoundsOfFrame = 0
    private(set) var oldDaysOfFrame: Set<TableDay> = []
    private var hasOldDays = false

    init() {}

    init(_ accepted: ClosedRange<Int64>, oldBefore: Int64) {
        self.accepted = accepted
        self.oldBefore = oldBefore
        deny([])
    }

    /// Takes back the rows of these days as well, from now on, and of no other ones.
    mutating func deny(_ days: Set<TableDay>) {
        deniedDays = days
        // Every row has a time before the first of these.
        plainFrom = days.isEmpty ? max(accepted.lowerBound, oldBefore) : .max
        plainUpTo = accepted.upperBound
    }

    mutating func beginFrame() {
        outOfBoundsOfFrame = 0
        guard hasOldDays else { return }
        oldDaysOfFrame.removeAll()
        hasOldDays = false
    }

    /// Whether rows between these times must be looked at. Of a block without rows the first is after the second.
    func concerns(_ earliest: Int64, _ latest: Int64) -> Bool { earliest < plainFrom || latest > plainUpTo }

    /// Takes a block whose rows are all of one accepted day, as records that come together mostly are.
    ///
    /// - Returns: false where each row must be looked at.
    mutating func takesBlock(_ kind: MetricKind, _ earliest: Int64, _ latest: Int64, rowCount: Int) -> Bool {
        let day = TableDay(kind, at: earliest)
        guard accepted.contains(earliest), accepted.contains(latest), day == TableDay(kind, at: latest),
            !deniedDays.contains(day)
        else { return false }
        if rowCount > 0, earliest < oldBefore { noteOld(day) }
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
        if time < oldBefore { noteOld(TableDay(kind, at: time)) }
        return true
    }

    private mutating func noteOld(_ day: TableDay) {
        oldDaysOfFrame.insert(day)
        hasOldDays = true
    }
}
