// Where the threads of delivery meet: the state behind a lock, the batches that it speaks of, and the accounting and the sessions
// that follow from it. A thread reports an outcome here; the state decides, and the actions are carried out in their order.

import Accounting
import Delivery
import FrameCodec
import LinuxSystem
import MetricKinds
import SpillLog
import Synchronization

/// The meeting place of drainer, lanes and the spill's writer. Safe from any thread.
package final class DeliveryCoordinator: SpillOwner, Sendable {
    private struct State {
        var delivery: DeliveryState
        /// What an operator should know of the spill that was found.
        var recoveryWarnings: [String] = []
        var tornEnds = 0
        /// What was done to the spill from outside.
        var disturbances = SpillDisturbances()
    }

    private let state: Monitor<State>
    private let batches: [FrameBatch]
    private let accounting: Accounting
    private let registry: SessionRegistry
    private let clock: Clock
    /// Batches of other epochs come from an earlier run.
    package let epoch: Int64
    package let hasSpill: Bool
    /// What the plan says of free lanes, for the drainer, which asks at each of its rounds.
    private let freeLane = Atomic(false)
    private let onFreeLane: @Sendable () -> Void

    /// - Parameter onFreeLane: called on any thread, with the state locked, when a lane has become free.
    package init(
        limits: DeliveryPlan.Limits, batch: BatchLimits, accounting: Accounting, registry: SessionRegistry,
        epoch: Int64, clock: Clock = .system, onFreeLane: @escaping @Sendable () -> Void
    ) {
        state = Monitor(State(delivery: DeliveryState(limits: limits, epoch: epoch)))
        batches = (0..<limits.slots).map { _ in FrameBatch(limits: batch) }
        self.accounting = accounting
        self.registry = registry
        self.clock = clock
        self.epoch = epoch
        self.onFreeLane = onFreeLane
        hasSpill = limits.hasSpill
    }

    /// Changes the state, and shows the accounting what it must know of it.
    private func change<Result>(_ body: (inout State) -> Result) -> Result {
        state.withLock { state in
            defer { show(state.delivery.plan) }
            return body(&state)
        }
    }

    private func show(_ plan: borrowing DeliveryPlan) {
        accounting.spillHolds(bytes: plan.spillBytes, records: plan.spillRecords)
        accounting.spillIsFull(plan.isStuck)
        let isFree = plan.hasFreeLane
        // Nothing else is read by it: the drainer acts on whatever it finds, and what it closes goes through the lock.
        if freeLane.exchange(isFree, ordering: .relaxed) != isFree, isFree { onFreeLane() }
    }

    /// Carries out what the state has decided, in its order.
    private func perform(_ actions: [DeliveryAction]) {
        for (index, action) in actions.enumerated() {
            switch action {
            case .count(let counter, let source, let records):
                accounting.count(records, as: counter, source: source)
            case .countRecovered(let source, let records): accounting.recovered(source: source, records: records)
            case .countRefused(let reason, let source, let records):
                accounting.refusedOnDecoding(reason, source: source, records: records)
            case .countDamaged(let records): accounting.damaged(records: records)
            case .refuse(let frames):
                registry.refused(frames.map { ($0.identity, $0.error, $0.recordCount) })
            case .acknowledge(let frames): registry.durable(frames)
            case .finish(let completion):
                precondition(index == actions.count - 1, "the plan lets go of nothing before all else is done")
                change { $0.delivery.finish(completion, now: clock.nanoseconds()) }
            }
        }
    }

    // MARK: The drainer

    /// A batch to fill; nil when none became free in time.
    package func openBatch(timeoutMilliseconds: Int) -> (slot: BatchSlot, batch: FrameBatch)? {
        let slot = state.wait(timeoutMilliseconds: timeoutMilliseconds) { state -> BatchSlot?? in
            if state.delivery.isAbandoned { return .some(nil) }
            return state.delivery.plan.openSlot().map { .some($0) }
        }
        guard let slot = slot ?? nil else { return nil }
        batches[slot].removeAll()
        return (slot, batches[slot])
    }

    /// Whether a lane waits for a batch. A moment later it may be otherwise.
    package var hasFreeLane: Bool { freeLane.load(ordering: .relaxed) }

    /// The batch stays empty.
    package func giveBack(_ slot: BatchSlot) { change { $0.delivery.plan.giveBack(slot) } }

    package func close(_ slot: BatchSlot, sequence: Int64) {
        let summary = batches[slot].close(BatchIdentity(epoch: epoch, sequence: sequence))
        let sources = batches[slot].sources
        change { $0.delivery.close(slot, summary, sources: sources) }
    }

    package var isAbandoned: Bool { state.read { $0.delivery.isAbandoned } }

    /// Frames that were taken off the ring with nowhere to go.
    package func lost(_ header: borrowing FrameHeader) {
        let (source, records) = (header.identity.source, header.recordCount)
        perform(change { $0.delivery.lost(source: source, records: records) })
    }

    // MARK: Lanes

    package func batch(_ slot: BatchSlot) -> FrameBatch { batches[slot] }

    /// The lane's next work; nil when there was none in time.
    package func work(forLane lane: Int, timeoutMilliseconds: Int) -> LaneWork? {
        state.wait(timeoutMilliseconds: timeoutMilliseconds) { state -> LaneWork?? in
            if let work = state.delivery.plan.work(forLane: lane, now: clock.nanoseconds()) {
                show(state.delivery.plan)
                return .some(work)
            }
            return state.delivery.isOver ? .some(nil) : nil
        } ?? nil
    }

    package var isOver: Bool { state.read { $0.delivery.isOver } }

    package func laneConnected(_ lane: Int) { change { $0.delivery.plan.laneConnected(lane) } }
    package func laneLost(_ lane: Int) { change { $0.delivery.plan.laneLost(lane) } }

    /// The lane's batch is in the database.
    ///
    /// - Parameter summary: with the sessions, which a replayed batch's work does not have.
    package func stored(
        lane: Int, _ work: LaneWork, _ summary: BatchSummary, _ contents: BatchContents, _ stored: StoredBatch
    ) {
        perform(change { $0.delivery.stored(lane: lane, work, summary, contents, stored) })
    }

    package func failed(lane: Int, isLaneLost: Bool) {
        change { $0.delivery.plan.failed(lane: lane, isLaneLost: isLaneLost, now: clock.nanoseconds()) }
    }

    // MARK: Tables that accept nothing

    /// Of these kinds, those whose rows the lane leaves out.
    package func heldKinds(among kinds: KindSet, lane: Int) -> KindSet {
        state.withLock { $0.delivery.plan.heldKinds(among: kinds, lane: lane, now: clock.nanoseconds()) }
    }

    /// The kind's table refused what a lane sent, whatever it was.
    ///
    /// - Returns: whether it is news.
    package func hold(_ kind: MetricKind, reason: String) -> Bool {
        change { state in
            let isNew = state.delivery.plan.holds[kind] == nil
            state.delivery.plan.hold(kind, reason: reason, now: clock.nanoseconds())
            return isNew
        }
    }

    /// - Returns: whether the batch is lost.
    package func unreadable(lane: Int, _ failure: ReadFailure) -> Bool {
        let (isLost, actions) = change { $0.delivery.unreadable(lane: lane, failure, now: clock.nanoseconds()) }
        perform(actions)
        return isLost
    }

    // MARK: The spill's writer

    package func spillWork(max count: Int, timeoutMilliseconds: Int) -> [BatchSlot] {
        state.wait(timeoutMilliseconds: timeoutMilliseconds) { state -> [BatchSlot]? in
            let slots = state.delivery.plan.spillWork(max: count, now: clock.nanoseconds())
            return slots.isEmpty && !state.delivery.isOver ? nil : slots
        } ?? []
    }

    package func summary(_ slot: BatchSlot) -> BatchSummary { state.read { $0.delivery.plan.summary(slot) } }

    package func withFrames<Result, Failure: Error>(
        _ slot: BatchSlot, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try batches[slot].withFrames(body)
    }

    /// The batches are durable.
    package func spilled(_ batches: [SpilledSlot]) { perform(state.read { $0.delivery.spilled(batches) }) }

    package func spillFailed(_ slots: [BatchSlot], reason: String, retryAt: UInt64) {
        change { $0.delivery.plan.spillFailed(slots, reason: reason, retryAt: retryAt) }
    }

    package func segmentEnded(_ name: SegmentName) { change { $0.delivery.plan.segmentEnded(name) } }
    package func isSettled(_ name: SegmentName) -> Bool { state.read { $0.delivery.plan.isSettled(name) } }

    package func leaseRemovals(now: UInt64) -> [SegmentRemoval] {
        change { $0.delivery.plan.leaseRemovals(now: now) }
    }
    package func removed(_ name: SegmentName) { change { $0.delivery.plan.removed(name) } }
    package func removalFailed(_ name: SegmentName, now: UInt64) {
        change { $0.delivery.plan.removalFailed(name, now: now) }
    }

    package func neededSegments() -> [SegmentName] { state.read { $0.delivery.plan.neededSegments } }
    package func neededBatches(in name: SegmentName) -> [SpilledBatch] {
        state.read { $0.delivery.plan.neededBatches(in: name) }
    }
    package func moved(_ batches: [(from: SpilledBatch, to: SpilledBatch)]) {
        change { $0.delivery.plan.moved(batches) }
    }
    package func keepInQuarantine(_ name: SegmentName) { change { $0.delivery.plan.keepInQuarantine(name) } }
    package func spillRecovered() { change { $0.delivery.plan.spillRecovered() } }
    package var needsSpillProbe: Bool { state.read { $0.delivery.plan.needsSpillProbe } }

    package func lost(_ batches: [SpilledBatch]) -> Int {
        let (records, actions) = change { $0.delivery.lost(batches) }
        perform(actions)
        return records
    }

    /// Notes what was done to the spill from outside, for as long as the collector runs.
    package func disturbed(_ body: (inout SpillDisturbances) -> Void) { state.withLock { body(&$0.disturbances) } }

    /// What an earlier run left. Before any thread runs.
    package func recovered(_ recovery: SpillRecovery) {
        change { state in
            for segment in recovery.segments {
                state.delivery.plan.recovered(
                    segment.name, batches: segment.batches, copies: segment.copies,
                    keepInQuarantine: segment.mustKeepInQuarantine)
            }
            state.delivery.foundDamaged(batches: recovery.damagedBatches)
            state.tornEnds = recovery.nonzeroTails
            state.recoveryWarnings =
                recovery.leftAlone.map {
                    "the spill's segment \($0.name) cannot be read and waits for the next start: \($0.error)"
                }
                + recovery.unreadableSegments.map {
                    "the disk does not give all of the spill's segment \($0): what is missing counts as damaged"
                }
        }
        accounting.recovered(records: UInt64(recovery.records + recovery.damagedRecords))
        if recovery.damagedRecords > 0 { accounting.damaged(records: recovery.damagedRecords) }
    }

    // MARK: Stop

    /// What is spilled stays for the next start from here on.
    package func stopReplay() { change { $0.delivery.plan.stop() } }

    /// What waits for the database goes to the spill.
    package func giveUpOnDatabase() { change { $0.delivery.plan.giveUpOnDatabase() } }

    /// Waits until nothing is in memory any more.
    package func waitUntilEmpty(timeoutMilliseconds: Int) -> Bool {
        state.wait(timeoutMilliseconds: timeoutMilliseconds) { $0.delivery.plan.isEmpty ? true : nil } ?? false
    }

    /// Neither database nor spill took it: what is in memory is lost, and counted.
    package func abandon() { perform(change { $0.delivery.abandon() }) }

    /// Records that a stop could bring nowhere.
    package var abandonedRecords: Int { state.read { $0.delivery.abandonedRecords } }

    /// Lets the lanes and the writer end.
    package func end() { change { $0.delivery.end() } }

    // MARK: Status

    /// The plan and the pace of the replay now.
    package var view: DeliveryView {
        state.read { state in
            DeliveryView(
                state.delivery.plan,
                recordsPerSecond: state.delivery.replayPace.recordsPerSecond(now: clock.nanoseconds()),
                warnings: state.recoveryWarnings + state.disturbances.warnings,
                damage: SpillDamageCounts(batches: state.delivery.damagedBatches, ends: state.tornEnds),
                segmentsDisturbed: state.disturbances.segments)
        }
    }

    /// Records in the spill that are not settled.
    package var spillRecords: UInt64 { state.read { $0.delivery.plan.spillRecords } }

    /// Reads the plan, with the lock held.
    package func read<Result>(_ body: (borrowing DeliveryPlan) -> Result) -> Result {
        state.read { body($0.delivery.plan) }
    }
}
