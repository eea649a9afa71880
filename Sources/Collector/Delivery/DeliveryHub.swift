// Where the threads of delivery meet: the plan behind a lock, the batches it speaks of, and the books that are kept of what
// comes of it. What a thread tells it here goes into plan, ledger and session desk in one step.

import Delivery
import FrameCodec
import LinuxSystem
import Listeners
import MetricKinds
import SpillLog
import Synchronization
import TimescaleStore

/// The meeting place of drainer, lanes and the spill's writer. Safe from any thread.
final class DeliveryHub: SpillOwner, Sendable {
    private struct State {
        var plan: DeliveryPlan
        /// The lanes and the writer end when they find nothing to do.
        var isOver = false
        /// The stop has no more time: what comes off the ring is lost.
        var isAbandoned = false
        /// For the estimate of when the spill is empty.
        var replay = ReplayPace()
        /// Records that a stop could bring nowhere.
        var abandonedRecords = 0
        /// What an operator should know of the spill that was found.
        var recoveryWarnings: [String] = []
        var damage = SpillDamageCounts()
        /// What was done to the spill from outside.
        var disturbances = SpillDisturbances()
    }

    private let state: Monitor<State>
    private let batches: [FrameBatch]
    private let ledger: ConservationLedger
    private let desk: SessionDesk
    /// Batches of other epochs come from an earlier run.
    let epoch: Int64
    let hasSpill: Bool
    /// What the plan says of free lanes, for the drainer, which asks each time it has looked at the ring.
    private let freeLane = Atomic(false)
    private let onFreeLane: @Sendable () -> Void

    /// - Parameter onFreeLane: called on any thread, with the plan locked, when a lane has become free.
    init(
        limits: DeliveryPlan.Limits, batch: BatchLimits, ledger: ConservationLedger, desk: SessionDesk, epoch: Int64,
        onFreeLane: @escaping @Sendable () -> Void
    ) {
        state = Monitor(State(plan: DeliveryPlan(limits: limits)))
        batches = (0..<limits.slots).map { _ in FrameBatch(limits: batch) }
        self.ledger = ledger
        self.desk = desk
        self.epoch = epoch
        self.onFreeLane = onFreeLane
        hasSpill = limits.hasSpill
    }

    /// Changes the plan, and shows the ledger what it must know of it.
    private func change<Result>(_ body: (inout State) -> Result) -> Result {
        state.withLock { state in
            defer { show(state.plan) }
            return body(&state)
        }
    }

    private func show(_ plan: borrowing DeliveryPlan) {
        ledger.spillHolds(bytes: plan.spillBytes, records: plan.spillRecords)
        ledger.spillIsFull(plan.isStuck)
        let isFree = plan.hasFreeLane
        // Nothing else is read by it: the drainer acts on whatever it finds, and what it closes goes through the lock.
        if freeLane.exchange(isFree, ordering: .relaxed) != isFree, isFree { onFreeLane() }
    }

    // MARK: The drainer

    /// A batch to fill; nil when none became free in time.
    func openBatch(timeoutMilliseconds: Int) -> (slot: BatchSlot, batch: FrameBatch)? {
        let slot = state.wait(timeoutMilliseconds: timeoutMilliseconds) { state -> BatchSlot?? in
            if state.isAbandoned { return .some(nil) }
            return state.plan.openSlot().map { .some($0) }
        }
        return (slot ?? nil).map { ($0, batches[$0]) }
    }

    /// Whether a lane waits for a batch. A moment later it may be otherwise.
    var hasFreeLane: Bool { freeLane.load(ordering: .relaxed) }

    /// The batch stays empty.
    func giveBack(_ slot: BatchSlot) { change { $0.plan.giveBack(slot) } }

    func close(_ slot: BatchSlot, sequence: Int64) {
        let summary = batches[slot].close(BatchIdentity(epoch: epoch, sequence: sequence))
        change { $0.plan.close(slot, summary) }
    }

    var isAbandoned: Bool { state.read { $0.isAbandoned } }

    /// Frames that were taken off the ring with nowhere to go.
    func lost(_ header: borrowing FrameHeader) {
        ledger.quotaDropped(source: header.identity.source, frames: 1, records: header.recordCount)
        let records = header.recordCount
        state.withLock { $0.abandonedRecords += records }
    }

    // MARK: Lanes

    func batch(_ slot: BatchSlot) -> FrameBatch { batches[slot] }

    /// The lane's next work; nil when there was none in time.
    func work(forLane lane: Int, timeoutMilliseconds: Int) -> LaneWork? {
        state.wait(timeoutMilliseconds: timeoutMilliseconds) { state -> LaneWork?? in
            if let work = state.plan.work(forLane: lane, now: monotonicNanoseconds()) {
                show(state.plan)
                return .some(work)
            }
            return state.isOver ? .some(nil) : nil
        } ?? nil
    }

    var isOver: Bool { state.read { $0.isOver } }

    func laneConnected(_ lane: Int) { change { $0.plan.laneConnected(lane) } }
    func laneLost(_ lane: Int) { change { $0.plan.laneLost(lane) } }

    /// The lane's batch is in the database.
    ///
    /// Its malformed frames are not: they are refused, and only those of the spill that are acknowledged became dead letters.
    ///
    /// - Parameter summary: with the sessions, which a replayed batch's work does not have.
    func stored(
        lane: Int, _ work: LaneWork, _ summary: BatchSummary, _ decoded: DecodedBatch, _ stored: StoredBatch
    ) {
        let spilled: SpilledBatch? = if case .replay(let batch) = work { batch } else { nil }
        let isReplay = spilled != nil
        // Of a batch of which a part was stored before in this run, all but the rest's rows was counted with that part.
        let isFirst = spilled?.part == nil
        // Records in letters of which this is the account, by source.
        var malformed: [UInt64: Int] = [:]
        for frame in decoded.refused where isReplay && isFirst && frame.isAcknowledged {
            malformed[frame.identity.source, default: 0] += frame.recordCount
        }
        var sources = decoded.sources
        // Nothing may be left of a source that an earlier run has stored a part of.
        for source in stored.partRecords.keys where sources[source] == nil { sources[source] = SourceRecords() }
        for (source, records) in sources {
            // What an earlier attempt stored of this very batch, or a part of it, is no resent frame.
            let own =
                stored.wasStoredBefore ? records.resent : min(records.resent, stored.ownRecords[source] ?? 0)
            let rows = records.rows + records.outOfBounds + (isFirst ? own : 0) + (stored.partRecords[source] ?? 0)
            let resent = isFirst ? records.resent - own : 0
            let unknownKind = isFirst ? records.unknownKind : 0
            let letters = (stored.deadLetters[source] ?? 0) - (malformed[source] ?? 0)
            let dead = min(rows, max(0, letters))
            if isReplay, work.summary.identity.epoch != epoch {
                ledger.recovered(source: source, records: rows + resent + unknownKind)
            }
            let suppressed = min(rows - dead, stored.suppressed[source] ?? 0)
            let committed = rows - dead - suppressed
            if committed > 0 { ledger.committed(source: source, records: committed) }
            if isReplay, committed > 0 { ledger.replayed(source: source, records: committed) }
            if suppressed > 0 { ledger.suppressed(source: source, records: suppressed) }
            if dead > 0 { ledger.deadLettered(source: source, records: dead) }
            let outOfBounds = min(dead, records.outOfBounds)
            if outOfBounds > 0 { ledger.outOfBounds(source: source, records: outOfBounds) }
            if resent > 0 { ledger.resent(source: source, records: resent) }
            if unknownKind > 0 { ledger.unknownKind(source: source, records: unknownKind) }
        }
        for frame in decoded.refused where isFirst {
            let source = frame.identity.source
            if isReplay, work.summary.identity.epoch != epoch {
                ledger.recovered(source: source, records: frame.recordCount)
            }
            if isReplay, frame.isAcknowledged {
                ledger.deadLettered(source: source, records: frame.recordCount)
            } else {
                ledger.refusedOnDecoding(frame.error.reason, source: source, records: frame.recordCount)
            }
        }
        // Before anybody is told that frames are durable.
        var sessions = summary.sessions
        if !isReplay, !decoded.refused.isEmpty {
            let numbered = decoded.refused.filter(\.isAcknowledged)
            desk.refused(numbered.map { ($0.identity, $0.error, $0.recordCount) })
            for frame in numbered {
                guard let index = sessions.firstIndex(where: { $0.key == SessionKey(frame.identity) }) else { continue }
                sessions[index].sequences.remove(frame.identity.sequence)
            }
        }
        desk.durable(sessions)
        change { state in
            let now = monotonicNanoseconds()
            if !stored.wasStoredBefore { state.plan.accepted(decoded.kinds) }
            guard stored.waiting.isEmpty else {
                state.replay.add(records: decoded.recordCount, now: now)
                let part = StoredPart(
                    kinds: (spilled?.part?.kinds ?? []).union(stored.kinds), waiting: stored.waiting,
                    settledFrames: stored.settledFrames)
                return state.plan.storedInPart(lane: lane, part, now: now)
            }
            let settlement = state.plan.stored(lane: lane)
            if let slot = settlement.slot { batches[slot].removeAll() }
            if let spilled { state.replay.add(records: spilled.recordsLeft, now: now) }
        }
    }

    func failed(lane: Int, isLaneLost: Bool) {
        change { $0.plan.failed(lane: lane, isLaneLost: isLaneLost, now: monotonicNanoseconds()) }
    }

    // MARK: Tables that accept nothing

    /// Of these kinds, those whose rows the lane leaves out.
    func heldKinds(among kinds: KindSet, lane: Int) -> KindSet {
        state.withLock { $0.plan.heldKinds(among: kinds, lane: lane, now: monotonicNanoseconds()) }
    }

    /// The kind's table refused what a lane sent, whatever it was.
    ///
    /// - Returns: whether it is news.
    func hold(_ kind: MetricKind, reason: String) -> Bool {
        change { state in
            let isNew = state.plan.holds[kind] == nil
            state.plan.hold(kind, reason: reason, now: monotonicNanoseconds())
            return isNew
        }
    }

    /// - Returns: whether the batch is lost.
    func unreadable(lane: Int, _ failure: ReadFailure) -> Bool {
        let lost = change { $0.plan.unreadable(lane: lane, failure, now: monotonicNanoseconds()) }
        guard let lost else { return false }
        change { $0.damage.batches += 1 }
        ledger.damaged(records: lost.recordsLeft)
        return true
    }

    // MARK: The spill's writer

    func spillWork(max count: Int, timeoutMilliseconds: Int) -> [BatchSlot] {
        state.wait(timeoutMilliseconds: timeoutMilliseconds) { state -> [BatchSlot]? in
            let slots = state.plan.spillWork(max: count, now: monotonicNanoseconds())
            return slots.isEmpty && !state.isOver ? nil : slots
        } ?? []
    }

    func summary(_ slot: BatchSlot) -> BatchSummary { state.read { $0.plan.summary(slot) } }

    func withFrames<Result, Failure: Error>(
        _ slot: BatchSlot, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try batches[slot].withFrames(body)
    }

    /// The batches are durable.
    func spilled(_ spilled: [(slot: BatchSlot, batch: SpilledBatch)]) {
        for (slot, _) in spilled {
            for (source, records) in batches[slot].sources { ledger.spilled(source: source, records: records) }
        }
        // Before a lane can settle them.
        for (_, batch) in spilled { desk.durable(batch.summary.sessions) }
        change { state in
            for (slot, _) in spilled { batches[slot].removeAll() }
            state.plan.spilled(spilled)
        }
    }

    func spillFailed(_ slots: [BatchSlot], reason: String, retryAt: UInt64) {
        change { $0.plan.spillFailed(slots, reason: reason, retryAt: retryAt) }
    }

    func segmentEnded(_ name: SegmentName) { change { $0.plan.segmentEnded(name) } }
    func isSettled(_ name: SegmentName) -> Bool { state.read { $0.plan.isSettled(name) } }

    func leaseRemovals(now: UInt64) -> [SegmentRemoval] { change { $0.plan.leaseRemovals(now: now) } }
    func removed(_ name: SegmentName) { change { $0.plan.removed(name) } }
    func removalFailed(_ name: SegmentName, now: UInt64) { change { $0.plan.removalFailed(name, now: now) } }

    func neededSegments() -> [SegmentName] { state.read { $0.plan.neededSegments } }
    func neededBatches(in name: SegmentName) -> [SpilledBatch] { state.read { $0.plan.neededBatches(in: name) } }
    func moved(_ batches: [(from: SpilledBatch, to: SpilledBatch)]) { change { $0.plan.moved(batches) } }
    func keepInQuarantine(_ name: SegmentName) { change { $0.plan.keepInQuarantine(name) } }
    func spillRecovered() { change { $0.plan.spillRecovered() } }
    var needsSpillProbe: Bool { state.read { $0.plan.needsSpillProbe } }

    func lost(_ batches: [SpilledBatch]) -> Int {
        let records = change { $0.plan.lost(batches) }.reduce(0) { $0 + $1.recordsLeft }
        ledger.damaged(records: records)
        return records
    }

    /// Notes what was done to the spill from outside, for as long as the collector runs.
    func disturbed(_ body: (inout SpillDisturbances) -> Void) { state.withLock { body(&$0.disturbances) } }

    /// What an earlier run left. Before any thread runs.
    func recovered(_ recovery: SpillRecovery) {
        change { state in
            for segment in recovery.segments {
                state.plan.recovered(
                    segment.name, batches: segment.batches, copies: segment.copies,
                    keepInQuarantine: segment.mustKeepInQuarantine)
            }
            state.damage = SpillDamageCounts(batches: recovery.damagedBatches, ends: recovery.nonzeroTails)
            state.recoveryWarnings =
                recovery.leftAlone.map {
                    "the spill's segment \($0.name) cannot be read and waits for the next start: \($0.error)"
                }
                + recovery.unreadableSegments.map {
                    "the disk does not give all of the spill's segment \($0): what is missing counts as damaged"
                }
        }
        ledger.recovered(records: UInt64(recovery.records + recovery.damagedRecords))
        if recovery.damagedRecords > 0 { ledger.damaged(records: recovery.damagedRecords) }
    }

    // MARK: Stop

    /// What is spilled stays for the next start from here on.
    func stopReplay() { change { $0.plan.stop() } }

    /// What waits for the database goes to the spill.
    func giveUpOnDatabase() { change { $0.plan.giveUpOnDatabase() } }

    /// Waits until nothing is in memory any more.
    func waitUntilEmpty(timeoutMilliseconds: Int) -> Bool {
        state.wait(timeoutMilliseconds: timeoutMilliseconds) { $0.plan.isEmpty ? true : nil } ?? false
    }

    /// Neither database nor spill took it: what is in memory is lost, and counted.
    func abandon() {
        // Emptied before the drainer can have one of the slots.
        let lost = change { state -> [UInt64: Int] in
            state.isAbandoned = true
            var lost: [UInt64: Int] = [:]
            for (slot, _) in state.plan.abandonAll() {
                for (source, count) in batches[slot].sources { lost[source, default: 0] += count }
                batches[slot].removeAll()
            }
            state.abandonedRecords += lost.values.reduce(0, +)
            return lost
        }
        for (source, count) in lost { ledger.quotaDropped(source: source, frames: 0, records: count) }
    }

    /// Records that a stop could bring nowhere.
    var abandonedRecords: Int { state.read { $0.abandonedRecords } }

    /// Lets the lanes and the writer end.
    func end() { change { $0.isOver = true } }

    // MARK: Looking

    /// The plan and the pace of the replay now.
    var view: DeliveryView {
        state.read { state in
            DeliveryView(
                state.plan, recordsPerSecond: state.replay.recordsPerSecond(now: monotonicNanoseconds()),
                warnings: state.recoveryWarnings + state.disturbances.warnings, damage: state.damage,
                segmentsDisturbed: state.disturbances.segments)
        }
    }
}

extension LaneWork {
    var summary: BatchSummary {
        switch self {
        case .live(_, let summary): summary
        case .replay(let batch): batch.summary
        }
    }
}
