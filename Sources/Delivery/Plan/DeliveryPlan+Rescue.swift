// Spilled batches that change their place: their segment was removed, replaced or cut by something other than the collector,
// and they were written again, or are lost.

extension DeliveryPlan {
    /// Segments with batches that are not settled, oldest first. O(segments).
    package var neededSegments: [SegmentName] { segments.filter { $0.value.open > 0 }.map(\.key).sorted() }

    /// The batches of a segment that are not settled, those included that have another copy: which of the copies is durable is
    /// not known here. O(spilled batches).
    package func neededBatches(in name: SegmentName) -> [SpilledBatch] {
        var found: [SpilledBatch] = []
        for case .replay(let batch)? in laneWork where !movedInLanes.contains(batch.summary.identity) {
            found.append(batch)
        }
        found += deferred.map(\.batch)
        found += heldBatches
        found += replay[replayStart...]
        found += copies.values.joined()
        var seen: Set<BatchIdentity> = []
        return found.filter { $0.segment == name && seen.insert($0.summary.identity).inserted }
    }

    /// Batches of one segment are durable in another place too: they are read there from now on. What a lane has already is a
    /// copy for it. O(spilled batches).
    package mutating func moved(_ batches: [(from: SpilledBatch, to: SpilledBatch)]) {
        guard let name = batches.first?.from.segment else { return }
        var places: [BatchIdentity: SpilledBatch] = [:]
        for (from, to) in batches {
            precondition(from.segment == name)
            places[from.summary.identity] = to.withoutSessions
            segments[to.segment, default: Segment()].open += 1
        }
        for index in replay.indices[replayStart...] where replay[index].segment == name {
            guard let to = places.removeValue(forKey: replay[index].summary.identity) else { continue }
            replay[index] = replaced(replay[index], by: to)
        }
        for index in heldBatches.indices where heldBatches[index].segment == name {
            guard let to = places.removeValue(forKey: heldBatches[index].summary.identity) else { continue }
            heldBatches[index] = replaced(heldBatches[index], by: to)
        }
        for index in deferred.indices where deferred[index].batch.segment == name {
            guard let to = places.removeValue(forKey: deferred[index].batch.summary.identity) else { continue }
            deferred[index] = Deferred(
                batch: replaced(deferred[index].batch, by: to), attempts: 0, notBefore: deferred[index].notBefore)
        }
        for case .replay(let batch)? in laneWork where batch.segment == name {
            guard let to = places.removeValue(forKey: batch.summary.identity) else { continue }
            copies[batch.summary.identity, default: []].append(to)
            movedInLanes.insert(batch.summary.identity)
        }
        for (identity, to) in places {
            if dropCopies(of: identity, in: name) {
                copies[identity, default: []].append(to)
            } else {
                // Settled meanwhile.
                release(to.segment)
            }
        }
        for (from, _) in batches { _ = dropCopies(of: from.summary.identity, in: name) }
    }

    /// - Returns: whether there was one.
    private mutating func dropCopies(of identity: BatchIdentity, in name: SegmentName) -> Bool {
        guard let all = copies[identity] else { return false }
        let kept = all.filter { $0.segment != name }
        for _ in kept.count..<all.count { release(name) }
        copies[identity] = kept.isEmpty ? nil : kept
        return kept.count < all.count
    }

    /// - Returns: the other one, with what is known of the batch.
    private mutating func replaced(_ batch: SpilledBatch, by other: SpilledBatch) -> SpilledBatch {
        release(batch.segment)
        spillBytes = spillBytes - UInt64(batch.diskBytes) + UInt64(other.diskBytes)
        var other = other
        other.part = batch.part
        return other
    }

    /// Batches of one segment cannot be read there any more. The segment is kept in the quarantine, whatever is left of it. One
    /// that has a copy elsewhere is read there. O(spilled batches).
    ///
    /// - Returns: those that are lost, of which `recordsLeft` is: not those that a lane has, which finds out by itself.
    package mutating func lost(_ batches: [SpilledBatch]) -> [SpilledBatch] {
        guard let name = batches.first?.segment else { return [] }
        segments[name]?.keepInQuarantine = true
        let identities = Set(batches.map(\.summary.identity))
        for identity in identities { _ = dropCopies(of: identity, in: name) }
        for case .replay(let batch)? in laneWork where batch.segment == name {
            movedInLanes.insert(batch.summary.identity)
        }
        var gone: [SpilledBatch] = []
        replay = replay[replayStart...].compactMap { batch in
            guard batch.segment == name, identities.contains(batch.summary.identity) else { return batch }
            return takeCopy(of: batch, orAddTo: &gone)
        }
        replayStart = 0
        deferred = deferred.compactMap { entry in
            guard entry.batch.segment == name, identities.contains(entry.batch.summary.identity) else { return entry }
            return takeCopy(of: entry.batch, orAddTo: &gone).map {
                Deferred(batch: $0, attempts: 0, notBefore: entry.notBefore)
            }
        }
        heldBatches = heldBatches.compactMap { batch in
            guard batch.segment == name, identities.contains(batch.summary.identity) else { return batch }
            guard let copy = takeCopy(of: batch, orAddTo: &gone) else {
                countAsTaken(batch)
                return nil
            }
            return copy
        }
        for batch in gone { settle(batch) }
        return gone
    }

    private mutating func takeCopy(of batch: SpilledBatch, orAddTo gone: inout [SpilledBatch]) -> SpilledBatch? {
        guard let copy = copies[batch.summary.identity]?.popLast() else {
            gone.append(batch)
            return nil
        }
        return replaced(batch, by: copy)
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
