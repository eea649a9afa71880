// The plan's part for tables that accept nothing. Such a table is held: no rows are sent to it but for a trial now and then. A
// spilled batch with rows of a held table is stored without them and waits; one trial that succeeds sends all that wait.
//
// Invariant: a batch that waits is in no lane and in no other queue, and each of its waiting kinds was held when it came here.

import MetricKinds

extension DeliveryPlan {
    /// The table refused what a lane sent, whatever it was.
    package mutating func hold(_ kind: MetricKind, reason: String, now: UInt64) {
        holds[kind] = TableHold(reason: reason, attempts: (holds[kind]?.attempts ?? 0) + 1, now: now)
    }

    /// Of these kinds, those whose rows the lane leaves out of its batch. What is not left out although its table is held is a
    /// trial, of which there is one at a time.
    package mutating func heldKinds(among kinds: KindSet, lane: Int, now: UInt64) -> KindSet {
        guard !holds.isEmpty else { return [] }
        var held: KindSet = []
        for (kind, hold) in holds where kinds.contains(kind) {
            switch hold.triedBy {
            case lane: break
            case nil where now >= hold.retryAt: holds[kind]?.beginTrial(lane, now: now)
            default: held.insert(KindSet(kind))
            }
        }
        return held
    }

    /// The lane stored rows of these kinds.
    package mutating func accepted(_ kinds: KindSet) {
        let released = KindSet(holds.keys).intersection(kinds)
        guard !released.isEmpty else { return }
        for kind in released.kinds { holds[kind] = nil }
        let freed = heldBatches.filter { !$0.waitingKinds.isDisjoint(with: released) }
        guard !freed.isEmpty else { return }
        heldBatches.removeAll { !$0.waitingKinds.isDisjoint(with: released) }
        for batch in freed { countAsTaken(batch) }
        // They waited longest.
        replay = freed + replay[replayStart...]
        replayStart = 0
    }

    /// The lane's replayed batch is stored but for the rows of tables that are held.
    ///
    /// - Returns: its records that are settled now.
    @discardableResult
    package mutating func storedInPart(lane: Int, _ part: StoredPart, now: UInt64) -> Int {
        guard case .replay(var batch) = endWork(lane) else { preconditionFailure("only spilled batches wait") }
        let before = batch.recordsLeft
        batch.part = part
        let settled = before - batch.recordsLeft
        spillRecords -= UInt64(settled)
        // One of its tables may have been released meanwhile.
        if part.waitingKinds.isSubset(of: KindSet(holds.keys)) {
            heldBatches.append(batch)
            recordsHeld.merge(part.waiting, uniquingKeysWith: +)
        } else {
            replay.append(batch)
        }
        return settled
    }

    /// The lane has answered: what it did not settle is tried by another one.
    mutating func endTrials(of lane: Int) {
        for (kind, hold) in holds where hold.triedBy == lane { holds[kind]?.triedBy = nil }
    }

    /// The batch that serves as the trial of a held table which is due: the oldest and the newest in turns, since one batch may
    /// have nothing but rows that are refused on their own account.
    func dueTrial(now: UInt64) -> Int? {
        for kind in MetricKind.allCases {
            guard let hold = holds[kind], hold.triedBy == nil, now >= hold.retryAt else { continue }
            let waits: (SpilledBatch) -> Bool = { $0.waitingKinds.contains(kind) }
            let index =
                hold.attempts % 2 == 1 ? heldBatches.firstIndex(where: waits) : heldBatches.lastIndex(where: waits)
            if let index { return index }
        }
        return nil
    }

    mutating func takeTrial(_ index: Int, _ lane: Int, now: UInt64) -> SpilledBatch {
        let batch = heldBatches.remove(at: index)
        countAsTaken(batch)
        for (kind, hold) in holds where batch.waitingKinds.contains(kind) && hold.triedBy == nil && now >= hold.retryAt
        {
            holds[kind]?.beginTrial(lane, now: now)
        }
        return batch
    }

    mutating func countAsTaken(_ batch: SpilledBatch) {
        for (kind, records) in batch.part?.waiting ?? [:] { recordsHeld[kind, default: 0] -= records }
    }

    /// Every slot has a batch that a held table or the spill keeps there.
    var areAllSlotsHeld: Bool {
        !holds.isEmpty
            && places.indices.allSatisfy { slot in
                switch places[slot] {
                case .free, .open, .inLane: false
                case .waiting, .toSpill, .spilling: failures[slot].count > 0
                }
            }
    }
}
