// The lanes' part of the plan: what each does next, and what came of it.

extension DeliveryPlan {
    /// The lane reaches the database.
    package mutating func laneConnected(_ lane: Int) { laneStates[lane] = .connected }

    /// The lane does not reach it. When none does, what waits goes to the spill.
    package mutating func laneLost(_ lane: Int) {
        laneStates[lane] = .lost
        if areAllLanesLost, canSpill { queueWaitingForSpill() }
    }

    /// The next work of an idle lane; nil while there is none for it. A lane that has not answered for its last work gets it again.
    package mutating func work(forLane lane: Int, now: UInt64) -> LaneWork? {
        if let leased = laneWork[lane] { return leased }
        if case .lost = laneStates[lane] { return nil }
        let live = nextLive(now: now)
        let replayed = isStopping ? nil : nextReplay(now: now)
        let work: LaneWork
        switch (live, replayed) {
        case (nil, nil): return nil
        case (let live?, nil): work = .live(live, summary(live))
        case (nil, let place?): work = takeReplay(place, lane, now: now)
        case (let live?, let place?):
            let chooses = share.choosesReplay(
                percent: limits.replayPercent, live: summary(live).recordCount,
                replayed: batch(place).recordsLeft)
            work = chooses ? takeReplay(place, lane, now: now) : .live(live, summary(live))
        }
        if case .live(let slot, _) = work {
            waiting.removeAll { $0 == slot }
            toSpill.removeAll { $0 == slot }
            places[slot] = .inLane(lane)
        }
        laneWork[lane] = work
        return work
    }

    /// Whether a lane has nothing to do and would take a live batch at once: it is better given what there is than left to
    /// wait until a batch is full.
    package var hasFreeLane: Bool {
        // What is replayed needs the lane, and then full batches cost the least.
        guard !limits.isJournal, isStopping || replayStart == replay.count else { return false }
        var free = 0
        for lane in laneStates.indices where laneWork[lane] == nil {
            if case .connected = laneStates[lane] { free += 1 }
        }
        return free > waiting.count
    }

    /// What waits longest. While the spill takes nothing, also what was meant for it.
    private func nextLive(now: UInt64) -> BatchSlot? {
        waiting.first { failures[$0].notBefore <= now }
            ?? (spillBlock != nil ? toSpill.first { failures[$0].notBefore <= now } : nil)
    }

    /// The account of a closed batch.
    package func summary(_ slot: BatchSlot) -> BatchSummary {
        guard let summary = summaries[slot] else { preconditionFailure("a closed batch has a summary") }
        return summary
    }

    // MARK: Replay

    enum ReplayPlace {
        case deferred(Int)
        case queue
        /// Its batch is a trial of a held table.
        case held(Int)
    }

    /// Deferred batches that are due and the queue take turns: however many batches fail, the good ones go on.
    private func nextReplay(now: UInt64) -> ReplayPlace? {
        if let index = dueTrial(now: now) { return .held(index) }
        let hasQueue = replayStart < replay.count
        if hasQueue, lastReplayWasDeferred { return .queue }
        if let index = deferred.firstIndex(where: { $0.notBefore <= now }) { return .deferred(index) }
        return hasQueue ? .queue : nil
    }

    private func batch(_ place: ReplayPlace) -> SpilledBatch {
        switch place {
        case .deferred(let index): deferred[index].batch
        case .queue: replay[replayStart]
        case .held(let index): heldBatches[index]
        }
    }

    private mutating func takeReplay(_ place: ReplayPlace, _ lane: Int, now: UInt64) -> LaneWork {
        let batch = batch(place)
        lastReplayWasDeferred = if case .deferred = place { true } else { false }
        switch place {
        case .held(let index):
            laneAttempts[lane] = 0
            return .replay(takeTrial(index, lane, now: now))
        case .deferred(let index):
            laneAttempts[lane] = deferred.remove(at: index).attempts
        case .queue:
            laneAttempts[lane] = 0
            replayStart += 1
            // Given back in halves: O(1) for each batch.
            if replayStart > 64, replayStart * 2 > replay.count {
                replay.removeFirst(replayStart)
                replayStart = 0
            }
        }
        return .replay(batch)
    }

    // MARK: What came of it

    mutating func endWork(_ lane: Int) -> LaneWork {
        guard let work = laneWork[lane] else { preconditionFailure("the lane has work") }
        laneWork[lane] = nil
        if case .replay(let batch) = work { movedInLanes.remove(batch.summary.identity) }
        endTrials(of: lane)
        return work
    }

    /// The lane's batch is committed, now or by an earlier attempt. The slot of a live one is free again.
    @discardableResult
    package mutating func stored(lane: Int) -> LaneWork {
        let work = endWork(lane)
        switch work {
        case .live(let slot, _): release(slot)
        case .replay(let batch): settle(batch)
        }
        return work
    }

    /// The attempt failed, or nobody knows how it ended. A live batch goes to the spill under its own identity; a
    /// replayed one is there already and is tried again.
    ///
    /// - Parameter isLaneLost: the connection is gone, which says nothing about the batch.
    package mutating func failed(lane: Int, isLaneLost: Bool, now: UInt64) {
        switch endWork(lane) {
        case .live(let slot, _):
            if !isLaneLost {
                let wait = min(
                    Self.deferFirstNanoseconds << UInt64(min(failures[slot].count, 16)), Self.deferLiveNanoseconds)
                failures[slot] = (failures[slot].count + 1, now &+ wait)
            }
            if limits.hasSpill {
                queueForSpill(slot)
            } else {
                places[slot] = .waiting
                waiting.append(slot)
            }
        case .replay(let batch):
            let attempts = laneAttempts[lane]
            if isLaneLost {
                // Tried first by the lane that is back first.
                deferred.append(Deferred(batch: batch, attempts: attempts, notBefore: now))
            } else {
                putOff(batch, attempts: attempts + 1, now: now, waitMax: Self.deferRefusedNanoseconds)
            }
            deferred.sort { ($0.notBefore, $0.batch.summary.identity) < ($1.notBefore, $1.batch.summary.identity) }
        }
        if isLaneLost { laneLost(lane) }
    }

    /// The batch failed on its own account: it is tried again later, each time twice as long.
    private mutating func putOff(
        _ batch: SpilledBatch, attempts: Int, now: UInt64, waitMax: UInt64 = deferLastNanoseconds
    ) {
        let wait = Self.deferFirstNanoseconds << UInt64(min(max(attempts - 1, 0), 16))
        deferred.append(
            Deferred(batch: batch, attempts: attempts, notBefore: now &+ min(wait, waitMax)))
    }

    /// The lane's replayed batch could not be read.
    ///
    /// - Returns: the batch if it is lost; nil if it, or another copy of it, is tried again.
    package mutating func unreadable(lane: Int, _ failure: ReadFailure, now: UInt64) -> SpilledBatch? {
        guard case .replay(let batch) = endWork(lane) else { preconditionFailure("only spilled batches are read") }
        let attempts = laneAttempts[lane] + 1
        let isLost =
            switch failure {
            case .damaged: true
            case .diskError: attempts >= Self.readAttemptsMax
            case .passing: false
            }
        guard isLost else {
            putOff(batch, attempts: attempts, now: now)
            return nil
        }
        segments[batch.segment]?.keepInQuarantine = true
        guard var copy = copies[batch.summary.identity]?.popLast() else {
            settle(batch)
            return batch
        }
        copy.part = batch.part
        release(batch.segment)
        spillBytes = spillBytes - UInt64(batch.diskBytes) + UInt64(copy.diskBytes)
        deferred.insert(Deferred(batch: copy, attempts: 0, notBefore: now), at: 0)
        return nil
    }

    /// The segment has one batch less that it is kept for.
    mutating func release(_ name: SegmentName) {
        guard let open = segments[name]?.open, open > 0 else {
            preconditionFailure("a spilled batch belongs to a segment that waits for it")
        }
        segments[name]?.open = open - 1
    }

    /// Nothing is left to do for a spilled batch.
    mutating func settle(_ batch: SpilledBatch) {
        release(batch.segment)
        for copy in copies.removeValue(forKey: batch.summary.identity) ?? [] { release(copy.segment) }
        spillBatches -= 1
        spillRecords -= UInt64(batch.recordsLeft)
        spillBytes -= UInt64(batch.diskBytes)
    }
}
