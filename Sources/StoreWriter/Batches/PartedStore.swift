// Stores a batch whose rows spread over many days, or expand to more than a lane holds, in several transactions.
//
// Every chunk that a transaction touches takes locks until its end, and a missing chunk is made under a lock that others wait for:
// one transaction over years of days exhausts the server's table of locks. So the batch's frames go in parts that touch a few
// chunks each. A frame's rows stand in one transaction with the key of the frame and, where its client waits for it, with its
// number in the session: a part that is stored is passed over, by a repeated attempt as by whoever gets the frame again. The
// batch's own row in the ledger comes last, and takes the keys of its frames away.

import Delivery
import FrameCodec
import LinuxSystem
import MetricKinds
import Postgres
import StoreSchema
import Text

package struct PartedStore {
    /// Chunks that a transaction may touch, but for a single frame with more of them.
    package static let chunksMax = 64
    /// Rows of a transaction, in bytes, but for a single frame with more of them.
    package static let partRowBytesMax = 16 << 20

    package let connection: DatabaseConnection
    package let fence: CommitFence
    package let summary: BatchSummary
    package let frames: UnsafeRawBufferPointer
    package let decoded: DecodedBatch
    package let kept: LedgerEntry.Kept
    package let chunksMax: Int
    package var accepted: AcceptedRows?
    /// Nil: all kinds. A kind of a batch that is stored kind by kind has its frames' sessions and its malformed frames settled
    /// before, see `KindStore`.
    package var kind: MetricKind?
    /// Frames of which nothing is stored here, by their places.
    package var passedOver: Set<Int> = []

    /// Frames that follow each other.
    private struct Part {
        var places: [Int] = []
        var bytes = 0..<0
        var units: Set<TableDay> = []
        var rowBytes = 0

        mutating func add(_ place: Int, _ frame: Range<Int>, _ more: Set<TableDay>, rowBytes: Int) {
            bytes = places.isEmpty ? frame : bytes.lowerBound..<frame.upperBound
            places.append(place)
            units.formUnion(more)
            self.rowBytes += rowBytes
        }
    }

    /// Whether a batch wants this. O(1) for one whose rows are near each other in time, else O(bytes).
    package static func isWanted(_ decoded: DecodedBatch) -> Bool {
        if decoded.isTooLarge { return true }
        guard let times = decoded.rows.timeRange else { return false }
        let days = UTCDay(microseconds: times.upperBound).number - UTCDay(microseconds: times.lowerBound).number + 1
        let tables = SchemaSQL.kindsByTable.count { decoded.rows.rowCount($0) > 0 }
        guard days > Int64(chunksMax / max(tables, 1)) else { return false }
        return units(decoded).count > chunksMax
    }

    private static func units(_ decoded: DecodedBatch) -> Set<TableDay> {
        var units: Set<TableDay> = []
        for kind in SchemaSQL.kindsByTable where decoded.rows.rowCount(kind) > 0 {
            decoded.rows.withRows(kind) { bytes in
                for offset in CopyRows.rowOffsets(bytes).dropLast() {
                    units.insert(TableDay(kind, at: CopyRowWriter.time(ofRowAt: offset, in: bytes)))
                }
            }
        }
        return units
    }

    /// Stores what is not stored yet.
    ///
    /// - Parameters:
    ///   - known: what is known of earlier attempts.
    ///   - outcome: gets what triggers suppressed in the parts that are stored now.
    /// - Returns: the records by source that `decoded` passes over and that an earlier attempt at this batch had stored; nil
    ///   when all of the batch was stored before.
    /// - Throws: as `BatchWriter.store` does; what was committed stays, and is passed over when it is tried again.
    package func store(_ known: BatchParts, _ outcome: inout StoredBatch) throws(DatabaseError) -> [UInt64: Int]? {
        let stored = kind.map { known.framesOfKinds[$0] ?? [] } ?? known.frames
        let scratch = DecodedBatch()
        scratch.judgement = decoded.judgement
        do throws(DatabaseError) {
            for part in parts(without: stored, scratch) { try store(part, scratch, &outcome) }
        } catch {
            // All of it by another attempt, whole or in parts.
            guard error.kind == .batchStoredBefore, connection.isUsable else { throw error }
            return nil
        }
        if let kind {
            try finish(kind)
            return [:]
        }
        let ownRecords = ownRecords(stored)
        let last = LedgerEntry(
            summary.with(sessions: []), fence: fence, decoded: decoded, frames: frames, keeping: [],
            recordsBefore: ownRecords.values.reduce(0, +))
        try last.commitAlone(connection, before: BatchParts.deletion(of: summary.identity))
        return ownRecords
    }

    /// One row for the kind takes the place of those of its frames.
    private func finish(_ kind: MetricKind) throws(DatabaseError) {
        let last = LedgerEntry(
            summary.with(sessions: []), fence: fence, decoded: decoded, frames: frames, keeping: [],
            key: .parts([.kind(kind)]))
        try last.commitAlone(connection, before: BatchParts.deletion(of: summary.identity, kind))
    }

    /// Of the frames that are passed over, those that parts of this batch have stored. O(bytes) where there are any.
    private func ownRecords(_ stored: Set<Int>) -> [UInt64: Int] {
        guard !stored.isEmpty else { return [:] }
        var records: [UInt64: Int] = [:]
        var place = -1
        forEachFrame(frames) { _, header, _ in
            place += 1
            guard stored.contains(place), decoded.skips(header, at: place, of: summary) else { return }
            records[header.identity.source, default: 0] += header.recordCount
        }
        return records
    }

    /// Divides the frames that are not stored. O(bytes).
    private func parts(without stored: Set<Int>, _ scratch: DecodedBatch) -> [Part] {
        var parts: [Part] = []
        var part = Part()
        func finish() {
            if !part.places.isEmpty { parts.append(part) }
            part = Part()
        }
        var place = 0
        forEachFrame(frames) { _, header, offset in
            defer { place += 1 }
            guard !stored.contains(place), !passedOver.contains(place) else { return finish() }
            let frame = offset..<offset + header.frameLength
            decode(UnsafeRawBufferPointer(rebasing: frames[frame]), firstPlace: place, scratch)
            let units = Self.units(scratch)
            let rowBytes = scratch.rows.byteCount
            if part.units.union(units).count > chunksMax || part.rowBytes + rowBytes > Self.partRowBytesMax { finish() }
            part.add(place, frame, units, rowBytes: rowBytes)
        }
        finish()
        return parts
    }

    private func decode(_ bytes: UnsafeRawBufferPointer, firstPlace: Int, _ scratch: DecodedBatch) {
        scratch.decode(
            bytes, summary, firstPlace: firstPlace, storedBefore: decoded.storedBefore,
            leavingOut: kind.map { KindSet.all.subtracting(KindSet($0)) } ?? [])
    }

    private static let attemptsAlone = 3
    private static let pauseNanoseconds: UInt64 = 200_000_000

    private func store(
        _ part: Part, _ scratch: DecodedBatch, _ outcome: inout StoredBatch
    ) throws(DatabaseError) {
        let bytes = UnsafeRawBufferPointer(rebasing: frames[part.bytes])
        var attempts = 0
        while true {
            attempts += 1
            do throws(DatabaseError) {
                decode(bytes, firstPlace: part.places[0], scratch)
                let stored = try RowIsolation(
                    connection: connection, frames: bytes, decoded: scratch, summary: summary,
                    firstPlace: part.places[0], accepted: accepted
                ).store(entry(part, bytes, scratch, keeping: kept))
                outcome.addSuppressed(stored)
                return
            } catch {
                guard connection.isUsable else { throw error }
                // A half-dead session of ours has stored one of its frames meanwhile.
                if error.sqlstate == .uniqueViolation, error.operation == LedgerEntry.partOperation {
                    return part.places.count == 1 ? () : try storeOneByOne(part, scratch, &outcome)
                }
                guard error.sqlstate == .outOfMemory else { throw error }
                if part.places.count > 1 { return try storeOneByOne(part, scratch, &outcome) }
                // Others may have taken the locks for the moment.
                guard attempts < Self.attemptsAlone else { return try setAside(part, bytes, scratch, error) }
                _ = try connection.wait(for: 0, deadline: monotonicNanoseconds() + Self.pauseNanoseconds)
            }
        }
    }

    private func storeOneByOne(
        _ part: Part, _ scratch: DecodedBatch, _ outcome: inout StoredBatch
    ) throws(DatabaseError) {
        var offset = part.bytes.lowerBound
        for place in part.places {
            let length = frameLength(at: offset)
            var single = Part()
            single.add(place, offset..<offset + length, [], rowBytes: 0)
            try store(single, scratch, &outcome)
            offset += length
        }
    }

    private func frameLength(at offset: Int) -> Int {
        do throws(FrameError) {
            return try FrameHeader.read(UnsafeRawBufferPointer(rebasing: frames[offset...]).bytes).frameLength
        } catch {
            preconditionFailure("a batch holds admitted frames only: \(error)")
        }
    }

    /// A frame that this server cannot store in one transaction becomes a dead letter, whole.
    private func setAside(
        _ part: Part, _ bytes: UnsafeRawBufferPointer, _ scratch: DecodedBatch, _ cause: DatabaseError
    ) throws(DatabaseError) {
        var letters: [DeadLetter] = []
        forEachFrame(bytes) { frame, header, _ in
            letters.append(
                DeadLetter(
                    kind: kind, source: header.identity.source, records: scratch.recordCount,
                    reason:
                        "its \(Self.units(scratch).count) days of tables are too many for one transaction on this server: "
                        + "raise max_locks_per_transaction, then send it again",
                    sqlstate: cause.sqlstate, frame: frame.withUnsafeBytes { Array($0) }))
        }
        let set = letters
        try entry(part, bytes, scratch, keeping: []).commitAlone(connection) { () throws(DatabaseError) in
            try DeadLetter.insert(set, connection, summary.identity)
        }
    }

    /// The entry of a part: of the batch's sessions what its frames have.
    private func entry(
        _ part: Part, _ bytes: UnsafeRawBufferPointer, _ scratch: DecodedBatch, keeping kept: LedgerEntry.Kept
    ) -> LedgerEntry {
        var sessions: [SessionKey: SequenceRanges] = [:]
        var place = part.places[0] - 1
        forEachFrame(bytes) { _, header, _ in
            place += 1
            guard kind == nil, summary.isAcknowledged(header.identity, at: place) else { return }
            sessions[SessionKey(header.identity), default: SequenceRanges()].insert(header.identity.sequence)
        }
        return LedgerEntry(
            summary.with(sessions: sessions.map { SessionFrames(key: $0, sequences: $1) }), fence: fence,
            decoded: scratch, frames: bytes, keeping: kept,
            key: .parts(part.places.map { .frame($0, of: kind) }))
    }
}
