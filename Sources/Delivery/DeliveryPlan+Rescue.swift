// Spilled batches that change their place: their segment was removed, replaced or cut by something other than the collector,
// and they were written again, or are lost.

extension DeliveryPlan {
    /// Segments with batches that are not settled, oldest first. O(segments).
    package var neededSegments: [SegmentName] { segments.filter { $0.value.open > 0 }.map(\.key).sorted() }

    /// The batches of a segment that are not settled and have no other copy. O(spilled batches).
    package func neededBatches(in name: SegmentName) -> [SpilledBatch] {
        let inLanes = laneWork.compactMap { if case .replay(let batch)? = $0 { batch } else { nil } }
        return (inLanes + deferred.map(\.batch) + replay[replayStart...]).filter {
            $0.segment == name && copies[$0.summary.identity, default: []].isEmpty
        }
    }

    /// The batches are durable in another place too: they are read there from now on. What a lane has already is a copy for it.
    /// O(spilled batches).
    package mutating func moved(_ batches: [(from: SpilledBatch, to: SpilledBatch)]) {
        var places: [BatchIdentity: (from: SpilledBatch, to: SpilledBatch)] = [:]
        for (from, to) in batches {
            places[from.summary.identity] = (from, to.withoutSessions)
            segments[to.segment, default: Segment()].open += 1
        }
        for index in replay.indices[replayStart...] {
            guard let move = take(replay[index], from: &places) else { continue }
            replay[index] = move.to
            replaced(move.from, by: move.to)
        }
        for index in deferred.indices {
            guard let move = take(deferred[index].batch, from: &places) else { continue }
            deferred[index] = Deferred(batch: move.to, attempts: 0, notBefore: deferred[index].notBefore)
            replaced(move.from, by: move.to)
        }
        for case .replay(let batch)? in laneWork {
            guard let move = take(batch, from: &places) else { continue }
            copies[batch.summary.identity, default: []].append(move.to)
        }
        // Settled meanwhile.
        for move in places.values { release(move.to.segment) }
    }

    private func take(
        _ batch: SpilledBatch, from places: inout [BatchIdentity: (from: SpilledBatch, to: SpilledBatch)]
    ) -> (from: SpilledBatch, to: SpilledBatch)? {
        guard places[batch.summary.identity]?.from.segment == batch.segment else { return nil }
        return places.removeValue(forKey: batch.summary.identity)
    }

    private mutating func replaced(_ batch: SpilledBatch, by other: SpilledBatch) {
        release(batch.segment)
        spillBytes = spillBytes - UInt64(batch.diskBytes) + UInt64(other.diskBytes)
    }

    /// The batches cannot be read any more. Their segment is kept in the quarantine, whatever is left of it. O(spilled
    /// batches).
    ///
    /// - Returns: the accounts of those that are lost: not those that a lane has, which finds out by itself.
    package mutating func lost(_ batches: [SpilledBatch]) -> [BatchSummary] {
        let identities = Set(batches.map(\.summary.identity))
        func isLost(_ batch: SpilledBatch) -> Bool {
            identities.contains(batch.summary.identity) && copies[batch.summary.identity, default: []].isEmpty
        }
        let gone = replay[replayStart...].filter(isLost) + deferred.map(\.batch).filter(isLost)
        let goneIdentities = Set(gone.map(\.summary.identity))
        replay = replay[replayStart...].filter { !goneIdentities.contains($0.summary.identity) }
        replayStart = 0
        deferred.removeAll { goneIdentities.contains($0.batch.summary.identity) }
        for batch in gone {
            segments[batch.segment]?.keepInQuarantine = true
            settle(batch)
        }
        return gone.map(\.summary)
    }

    /// What has the segment's name now goes to the quarantine instead of being removed.
    package mutating func keepInQuarantine(_ name: SegmentName) { segments[name]?.keepInQuarantine = true }

    /// Whether the segment holds damage that is kept.
    package func isKeptInQuarantine(_ name: SegmentName) -> Bool { segments[name]?.keepInQuarantine ?? false }

    /// The spill takes batches again, although none was offered to it.
    package mutating func spillRecovered() { spillBlock = nil }

    /// Whether the spill is to be tried: it takes nothing, and nothing waits for it that would show when it does again.
    package var needsSpillProbe: Bool { spillBlock != nil && toSpill.isEmpty && spillLease.isEmpty }
}
