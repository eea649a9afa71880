// Stores a batch of the spill of which some kinds' tables accept nothing: the rows of the other kinds now, and the rest later.
//
// The first transaction claims the batch's frames: from then on they are known as stored, since what is left of them is in the
// spill, and no other batch stores any of their rows. Each kind then has a row in the ledger, in one transaction with its rows.
// When no kind is left, the batch's own row replaces them. A batch that is only in memory is not stored this way: a crash would
// lose the rest of frames that are claimed.

import Delivery
import FrameCodec
import MetricKinds
import Postgres

package struct KindStore {
    package let writer: BatchWriter
    package let summary: BatchSummary
    package let frames: UnsafeRawBufferPointer
    /// As the caller has decoded it; afterwards, the rows that were stored here.
    package let decoded: DecodedBatch
    package let kept: LedgerEntry.Kept
    /// Kinds whose rows are left out.
    package let held: KindSet
    /// What the caller has counted; nil while it has counted nothing of the batch.
    package let counted: StoredPart?

    private var connection: DatabaseConnection { writer.connection }
    /// Records that are out of bounds become letters with the rows of their kind, which are judged only then.
    private var keptByClaim: LedgerEntry.Kept { kept.intersection(.malformed) }

    /// Stores what is not stored yet and not held.
    ///
    /// - Returns: nil when all of the batch was stored before.
    /// - Throws: as `BatchWriter.store` does; what was committed stays.
    package func store() throws(DatabaseError) -> StoredBatch? {
        guard var parts = try BatchParts.read(connection, summary.identity) else { return nil }
        if !parts.isClaimed { parts = try claim(parts) }
        let settled = parts.frames.union(parts.passedOver)
        var outcome = StoredBatch()
        let uncounted = parts.kinds.subtracting(counted?.kinds ?? [])
        if !uncounted.isEmpty {
            decode(settled, leavingOut: KindSet.all.subtracting(uncounted))
            outcome.partRecords = decoded.sources.mapValues { $0.rows + $0.outOfBounds }
            outcome.add(writer.deadLetters(of: summary.identity, kinds: uncounted))
            outcome.partDeadLetters = outcome.deadLetters.values.reduce(0, +)
        }
        let left = parts.kinds.union(held)
        decode(settled, leavingOut: left)
        try writer.judgeOldDays(decoded) { decode(settled, leavingOut: left) }
        let kinds = decoded.kinds.union(decoded.kindsOutOfBounds)
        try storeKinds(kinds, parts, settled, &outcome)
        decode(settled, leavingOut: left)
        if counted == nil {
            outcome.ownRecords = records(of: parts.frames)
            outcome.add(entry(keeping: keptByClaim).letterRecords)
            // Frames that an earlier attempt stored as parts have letters of any kind.
            if !parts.frames.isEmpty { outcome.deadLetters = writer.deadLetters(of: summary.identity) }
        }
        for kind in held.subtracting(parts.kinds).kinds where decoded.rows.leftOutCount(kind) > 0 {
            outcome.waiting[kind] = decoded.rows.leftOutCount(kind)
        }
        outcome.kinds = parts.kinds.union(kinds)
        outcome.settledFrames = settled
        if outcome.waiting.isEmpty {
            let before = parts.kinds.kinds.reduce(0) { $0 + decoded.rows.leftOutCount($1) }
            try finish(recordsBefore: before + records(of: parts.frames).values.reduce(0, +))
        }
        return outcome
    }

    private func decode(_ settled: Set<Int>, leavingOut kinds: KindSet) {
        decoded.decode(frames, summary, passingOver: settled, leavingOut: kinds)
    }

    private func entry(keeping kept: LedgerEntry.Kept, key: LedgerEntry.Key = .parts([])) -> LedgerEntry {
        LedgerEntry(
            summary.with(sessions: []), fence: writer.fence, decoded: decoded, frames: frames,
            keeping: kept, key: key)
    }

    // MARK: The claim

    /// Notes that the frames belong to this batch, but for those that another one has stored.
    private func claim(_ parts: BatchParts) throws(DatabaseError) -> BatchParts {
        var claimed = parts
        var keys = [BatchPart.claim]
        var sessions: [SessionKey: SequenceRanges] = [:]
        var place = -1
        forEachFrame(frames) { _, header, _ in
            place += 1
            guard !parts.frames.contains(place) else { return }
            if decoded.skips(header, at: place, of: summary) {
                keys.append(.passedOver(place))
            } else if summary.isAcknowledged(header.identity, at: place) {
                sessions[SessionKey(header.identity), default: SequenceRanges()].insert(header.identity.sequence)
            }
        }
        let entry = LedgerEntry(
            summary.with(sessions: sessions.map { SessionFrames(key: $0, sequences: $1) }.sorted { $0.key < $1.key }),
            fence: writer.fence, decoded: decoded, frames: frames, keeping: keptByClaim, key: .parts(keys))
        try entry.commitAlone(connection)
        for key in keys { claimed.add(key) }
        return claimed
    }

    // MARK: Kinds

    private func storeKinds(
        _ kinds: KindSet, _ parts: BatchParts, _ settled: Set<Int>, _ outcome: inout StoredBatch
    ) throws(DatabaseError) {
        guard !kinds.isEmpty else { return }
        if !decoded.isTooLarge, !PartedStore.isWanted(decoded), parts.framesOfKinds.isEmpty {
            do throws(DatabaseError) {
                return outcome.add(try storeAtOnce(kinds))
            } catch {
                // Its chunks are too many for this server's table of locks.
                guard connection.isUsable, error.sqlstate == .outOfMemory else { throw error }
            }
        }
        for kind in kinds.kinds {
            decode(settled, leavingOut: KindSet.all.subtracting(KindSet(kind)))
            let store = PartedStore(
                connection: connection, fence: writer.fence, summary: summary, frames: frames, decoded: decoded,
                kept: .outOfBounds, chunksMax: PartedStore.chunksMax, accepted: writer.accepted, kind: kind,
                passedOver: settled)
            guard try store.store(parts, &outcome) != nil else { throw connection.error(.batchStoredBefore) }
        }
        outcome.add(writer.deadLetters(of: summary.identity, kinds: kinds))
    }

    private func storeAtOnce(_ kinds: KindSet) throws(DatabaseError) -> StoredBatch {
        try writer.storeAtOnce(
            summary, entry(keeping: .outOfBounds, key: .parts(kinds.kinds.map { .kind($0) })), frames, decoded)
    }

    /// The batch's own row replaces those of its parts.
    private func finish(recordsBefore: Int) throws(DatabaseError) {
        let last = LedgerEntry(
            summary.with(sessions: []), fence: writer.fence, decoded: decoded, frames: frames, keeping: [],
            recordsBefore: recordsBefore)
        try last.commitAlone(connection, before: BatchParts.deletion(of: summary.identity))
    }

    /// The records of these frames, by source. O(bytes) where there are any.
    private func records(of places: Set<Int>) -> [UInt64: Int] {
        guard !places.isEmpty else { return [:] }
        var records: [UInt64: Int] = [:]
        var place = -1
        forEachFrame(frames) { _, header, _ in
            place += 1
            if places.contains(place) { records[header.identity.source, default: 0] += header.recordCount }
        }
        return records
    }
}
