// The spill's part of the plan: what its writer does next, what it holds, and which segments may go.

/// A settled segment that the spill's writer is to remove.
package struct SegmentRemoval: Equatable, Sendable {
    package let name: SegmentName
    /// It holds damage that is not in the quarantine yet: it is moved there instead.
    package let keepInQuarantine: Bool
}

extension DeliveryPlan {
    /// Batches that the writer appends and syncs together: it writes them in this order. While the spill is blocked one is
    /// given for a try, when its time has come. A writer that has not answered for its last batches gets them again.
    package mutating func spillWork(max count: Int, now: UInt64) -> [BatchSlot] {
        guard spillLease.isEmpty else { return spillLease }
        var count = count
        if let spillBlock {
            guard now >= spillBlock.retryAt else { return [] }
            count = 1
        }
        let slots = Array(toSpill.prefix(count))
        toSpill.removeFirst(slots.count)
        for slot in slots { places[slot] = .spilling }
        spillLease = slots
        return slots
    }

    /// The batches are durable in the spill. Their slots are free again.
    package mutating func spilled(_ batches: [SpilledSlot]) {
        spillBlock = nil
        for spilled in batches {
            endSpilling(spilled.slot)
            release(spilled.slot)
            add(spilled.batch)
        }
    }

    /// The batches are not durable: they are written again, or stored by a lane that is free.
    package mutating func spillFailed(_ slots: [BatchSlot], reason: String, retryAt: UInt64) {
        for slot in slots {
            endSpilling(slot)
            places[slot] = .toSpill
        }
        toSpill.insert(contentsOf: slots, at: 0)
        spillBlock = (reason, retryAt)
    }

    private mutating func endSpilling(_ slot: BatchSlot) {
        precondition(places[slot] == .spilling)
        spillLease.removeAll { $0 == slot }
    }

    /// Nothing more is written to the segment.
    package mutating func segmentEnded(_ name: SegmentName) {
        // One that never held a durable batch is not known here.
        segments[name, default: Segment()].hasEnded = true
    }

    /// What an earlier run left. Before any work.
    ///
    /// - Parameter copies: batches that stand in a segment before this one too. They count once.
    package mutating func recovered(
        _ name: SegmentName, batches: [SpilledBatch], copies: [SpilledBatch] = [], keepInQuarantine: Bool
    ) {
        segments[name] = Segment(open: copies.count, hasEnded: true, keepInQuarantine: keepInQuarantine)
        for batch in batches { add(batch) }
        for copy in copies { self.copies[copy.summary.identity, default: []].append(copy.withoutSessions) }
    }

    /// Segments of which nothing is needed any more, oldest first. Each stays in the plan until `removed` confirms that it is
    /// gone; one that is not confirmed is given again later. O(segments).
    package mutating func leaseRemovals(now: UInt64) -> [SegmentRemoval] {
        var leased: [SegmentRemoval] = []
        for (name, segment) in segments
        where segment.hasEnded && segment.open == 0 && now >= segment.removalNotBefore {
            leased.append(SegmentRemoval(name: name, keepInQuarantine: segment.keepInQuarantine))
            segments[name]?.removalNotBefore = now &+ Self.removalLeaseNanoseconds
        }
        return leased.sorted { $0.name < $1.name }
    }

    /// The segment is gone from the disk, or in the quarantine.
    package mutating func removed(_ name: SegmentName) {
        precondition(segments[name]?.open == 0, "only a settled segment is removed")
        segments[name] = nil
    }

    /// The segment could not be removed. It is given again, and the other ones do not wait for it.
    package mutating func removalFailed(_ name: SegmentName, now: UInt64) {
        segments[name]?.removalNotBefore = now &+ Self.removalRetryNanoseconds
    }

    /// Whether all that was written to the segment so far is settled, so that it may be ended and removed.
    package func isSettled(_ name: SegmentName) -> Bool {
        (segments[name]?.open ?? 0) == 0 && !places.contains(.spilling)
    }

    /// When the first frame of the oldest batch in the spill came; nil while it is empty.
    package var oldestSpilledMicroseconds: Int64? {
        let inLanes = laneWork.compactMap { if case .replay(let batch)? = $0 { batch } else { nil } }
        let candidates = deferred.map(\.batch) + heldBatches + inLanes + replay[replayStart...].prefix(1)
        return candidates.map(\.summary.openedMicroseconds).min()
    }

    private mutating func add(_ batch: SpilledBatch) {
        replay.append(batch.withoutSessions)
        segments[batch.segment, default: Segment()].open += 1
        spillBatches += 1
        spillRecords += UInt64(batch.summary.recordCount)
        spillBytes += UInt64(batch.diskBytes)
    }
}
