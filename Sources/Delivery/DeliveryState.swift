// The state of delivery: the plan, and what is counted of each batch in it. It decides what is done when a thread reports the
// outcome of its work, and returns it as actions. Its owner locks it, and carries the actions out without the lock.
//
// Invariant: what an outcome settles stays on lease in the plan until `finish`: while its records are counted and its frames
// acknowledged, nothing else has its slot, and a stop waits for it.

import Accounting
import FrameCodec
import MetricKinds

/// A plain value: no clock, no I/O, no thread.
package struct DeliveryState: Sendable {
    package var plan: DeliveryPlan
    /// Batches of other epochs come from an earlier run.
    package let epoch: Int64
    /// The lanes and the writer end when they find nothing to do.
    package private(set) var isOver = false
    /// The stop has no more time: what comes off the ring is lost.
    package private(set) var isAbandoned = false
    /// Records that a stop could bring nowhere.
    package private(set) var abandonedRecords = 0
    /// For the estimate of when the spill is empty.
    package private(set) var replayPace = ReplayPace()
    /// Damaged batches since the start.
    package private(set) var damagedBatches = 0
    /// Records by source, of the closed batch in each slot.
    private var sources: [[UInt64: Int]]

    package init(limits: DeliveryPlan.Limits, epoch: Int64) {
        plan = DeliveryPlan(limits: limits)
        self.epoch = epoch
        sources = Array(repeating: [:], count: limits.slots)
    }

    // MARK: The drainer

    /// - Parameter sources: the batch's records by source.
    package mutating func close(_ slot: BatchSlot, _ summary: BatchSummary, sources: [UInt64: Int]) {
        self.sources[slot] = sources
        plan.close(slot, summary)
    }

    /// A frame was taken off the ring with nowhere to go.
    package mutating func lost(source: UInt64, records: Int) -> [DeliveryAction] {
        abandonedRecords += records
        return [
            .count(.quotaDropFrames, source: source, records: 1), .count(.quotaDrops, source: source, records: records),
        ]
    }

    // MARK: Lanes

    /// The lane's batch is in the database, or all of it but the rows of held tables.
    ///
    /// Its malformed frames are not: they are refused, and only those of the spill that are acknowledged became dead letters.
    ///
    /// - Parameter summary: with the sessions, which a replayed batch's work does not have.
    package mutating func stored(
        lane: Int, _ work: LaneWork, _ summary: BatchSummary, _ contents: BatchContents, _ stored: StoredBatch
    ) -> [DeliveryAction] {
        if !stored.wasStoredBefore { plan.accepted(contents.kinds) }
        let settlement = Settlement(work, contents, stored, epoch: epoch)
        var actions = settlement.counts
        if !settlement.refusals.isEmpty { actions.append(.refuse(settlement.refusals)) }
        actions.append(.acknowledge(settlement.durable(of: summary.sessions)))
        actions.append(
            .finish(settlement.partStored.map { .storedInPart(lane: lane, $0) } ?? .stored(lane: lane)))
        return actions
    }

    /// The lane's batch could not be read.
    ///
    /// - Returns: whether it is lost, and what to count then.
    package mutating func unreadable(
        lane: Int, _ failure: ReadFailure, now: UInt64
    ) -> (isLost: Bool, actions: [DeliveryAction]) {
        guard let lost = plan.unreadable(lane: lane, failure, now: now) else { return (false, []) }
        damagedBatches += 1
        return (true, [.countDamaged(records: lost.recordsLeft)])
    }

    // MARK: The spill's writer

    /// The batches are durable in the spill.
    package func spilled(_ batches: [SpilledSlot]) -> [DeliveryAction] {
        var actions: [DeliveryAction] = []
        for batch in batches {
            for (source, records) in sources[batch.slot] {
                actions.append(.count(.recordsSpilled, source: source, records: records))
            }
        }
        // Before a lane can settle them.
        for batch in batches { actions.append(.acknowledge(batch.batch.summary.sessions)) }
        actions.append(.finish(.spilled(batches)))
        return actions
    }

    /// Batches of one segment cannot be read there any more.
    ///
    /// - Returns: the records of those that have no other copy, and what to count.
    package mutating func lost(_ batches: [SpilledBatch]) -> (records: Int, actions: [DeliveryAction]) {
        let records = plan.lost(batches).reduce(0) { $0 + $1.recordsLeft }
        return (records, [.countDamaged(records: records)])
    }

    // MARK: Both

    /// The actions before it are carried out.
    package mutating func finish(_ completion: DeliveryCompletion, now: UInt64) {
        switch completion {
        case .stored(let lane):
            let work = plan.stored(lane: lane)
            if let spilled = work.spilled { replayPace.add(records: spilled.recordsLeft, now: now) }
        case .storedInPart(let lane, let part):
            let records = plan.storedInPart(lane: lane, part, now: now)
            replayPace.add(records: records, now: now)
        case .spilled(let batches): plan.spilled(batches)
        }
    }

    // MARK: Start and stop

    /// What the recovery of the spill found damaged.
    package mutating func foundDamaged(batches: Int) { damagedBatches += batches }

    /// Neither database nor spill took it: what is in memory is lost, and counted.
    package mutating func abandon() -> [DeliveryAction] {
        isAbandoned = true
        var lost: [UInt64: Int] = [:]
        for (slot, _) in plan.abandonAll() { lost.merge(sources[slot], uniquingKeysWith: +) }
        abandonedRecords += lost.values.reduce(0, +)
        return lost.sorted { $0.key < $1.key }.map { .count(.quotaDrops, source: $0.key, records: $0.value) }
    }

    /// Lets the lanes and the writer end.
    package mutating func end() { isOver = true }
}

/// How fast the replay goes: records over a window that moves on in steps.
package struct ReplayPace: Sendable {
    private static let windowNanoseconds: UInt64 = 10_000_000_000
    private var startedAt: UInt64 = 0
    private var records = 0
    private var lastRecordsPerSecond = 0.0
    private var lastEndedAt: UInt64 = 0

    mutating func add(records added: Int, now: UInt64) {
        if now &- startedAt > Self.windowNanoseconds {
            if records > 0 {
                lastRecordsPerSecond = Double(records) * 1e9 / Double(now &- startedAt)
                lastEndedAt = now
            }
            startedAt = now
            records = 0
        }
        records += added
    }

    /// Records per second in the last while; 0 without any.
    package func recordsPerSecond(now: UInt64) -> Double {
        let age = now &- startedAt
        if records > 0, age < 2 * Self.windowNanoseconds, age > 1_000_000_000 || lastEndedAt == 0 {
            return Double(records) * 1e9 / Double(max(age, 1))
        }
        return now &- lastEndedAt < 2 * Self.windowNanoseconds ? lastRecordsPerSecond : 0
    }
}
