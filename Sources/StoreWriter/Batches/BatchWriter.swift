// Stores a batch: one transaction with its ledger row and one COPY for each table, in the order of the tables' names.
//
// Exactly once: the ledger's key is the batch's identity. An attempt after an unknown COMMIT meets the key of the first one
// and knows that the batch is stored; a repeated key also waits for the transaction that holds it, so a half-dead session
// cannot commit behind our back.

import Delivery
import FrameCodec
import LinuxSystem
import MetricKinds
import Postgres
import StoreSchema

/// Stores batches over one connection. Used by one thread.
public struct BatchWriter {
    package let connection: DatabaseConnection
    /// Whose batches these are: see `CommitFence`.
    package let fence: CommitFence
    /// Of a session that compresses: each table's rows go in the order of its columnstore.
    package let compression: DirectCompression?
    /// What the tables took before.
    package let accepted: AcceptedRows?
    private let oldChunks: OldChunkBudget?

    public init(
        _ connection: DatabaseConnection, fence: CommitFence, compression: DirectCompression? = nil,
        accepted: AcceptedRows? = nil, oldChunks: OldChunkBudget? = nil
    ) {
        self.connection = connection
        self.fence = fence
        self.compression = compression
        self.accepted = accepted
        self.oldChunks = oldChunks
    }

    /// Stores a batch in one transaction.
    ///
    /// A row that the server refuses is set aside in `spillway.dead_letters`, and the others are stored with it in a new
    /// transaction.
    ///
    /// - Parameters:
    ///   - summary: the batch's identity, and the frames of it that are acknowledged.
    ///   - frames: the batch's frames, for the dead letters.
    ///   - decoded: the rows of the same frames.
    ///   - keepsMalformed: acknowledged frames that turned out to be malformed become dead letters as a whole, since their
    ///     clients have let go of them.
    ///   - held: kinds whose tables accept nothing: their rows are left out. Only for a batch that is in the spill.
    ///   - counted: what the caller has counted of a batch that was stored in part; nil while it has counted nothing.
    /// - Throws: when nothing is known to be stored, or not all that could be. `isTransient` says whether trying again can help
    ///   without a change by the operator; after `isCommitOutcomeUnknown` trying again settles it. With `refusingKind` it was
    ///   one table that refused: the rest can be stored without it.
    public func store(
        _ summary: BatchSummary, frames: UnsafeRawBufferPointer, decoded: DecodedBatch, keepsMalformed: Bool = false,
        without held: KindSet = [], counted: StoredPart? = nil
    ) throws(DatabaseError) -> StoredBatch {
        if held.isEmpty, counted == nil {
            try judgeOldDays(decoded) { decoded.decode(frames, summary, storedBefore: decoded.storedBefore) }
        }
        let kept: LedgerEntry.Kept = keepsMalformed ? [.malformed, .outOfBounds] : .outOfBounds
        let entry = LedgerEntry(
            summary, fence: fence, decoded: decoded, frames: frames, keeping: kept)
        func byKinds() throws(DatabaseError) -> StoredBatch {
            let kinds = KindStore(
                writer: self, summary: summary, frames: frames, decoded: decoded, kept: kept,
                held: held, counted: counted)
            if let outcome = try kinds.store() { return outcome }
            // What the caller has counted is not counted again.
            if let counted {
                decoded.decode(frames, summary, passingOver: counted.settledFrames, leavingOut: counted.kinds)
            }
            return try storedBefore(entry, without: counted?.kinds ?? [])
        }
        func inParts(chunksMax: Int) throws(DatabaseError) -> StoredBatch {
            guard let known = try BatchParts.read(connection, summary.identity) else { return try storedBefore(entry) }
            if known.isClaimed { return try byKinds() }
            let parts = PartedStore(
                connection: connection, fence: fence, summary: summary, frames: frames, decoded: decoded,
                kept: kept, chunksMax: chunksMax, accepted: accepted)
            var outcome = StoredBatch()
            guard let ownRecords = try parts.store(known, &outcome) else { return try storedBefore(entry) }
            // A part that a live attempt stored has none of the malformed frames, which are acknowledged by now.
            try entry.keepMalformed(connection)
            // Parts that an earlier attempt stored may have letters as well.
            outcome.deadLetters = deadLetters(of: summary.identity)
            outcome.ownRecords = ownRecords
            return outcome
        }
        do throws(DatabaseError) {
            if !held.isEmpty || counted != nil { return try byKinds() }
            if PartedStore.isWanted(decoded) { return try inParts(chunksMax: PartedStore.chunksMax) }
            do throws(DatabaseError) {
                return try storeAtOnce(summary, entry, frames, decoded)
            } catch {
                // Its chunks are too many for this server's table of locks, or it was begun in parts before.
                let isInLedger = error.operation == LedgerEntry.operation
                guard connection.isUsable,
                    isInLedger ? error.sqlstate == .batchBegunInParts : error.sqlstate == .outOfMemory
                else { throw error }
                return try inParts(chunksMax: 1)
            }
        } catch {
            guard connection.isUsable, error.sqlstate == .uniqueViolation, error.operation == LedgerEntry.operation
            else { throw error }
            return try storedBefore(entry)
        }
    }

    /// Takes rows back that would open too many old chunks.
    ///
    /// - Parameter decode: reads the batch once more, as it was read.
    package func judgeOldDays(_ decoded: DecodedBatch, decode: () -> Void) throws(DatabaseError) {
        guard let oldChunks, !decoded.oldDays.isEmpty else { return }
        let denied = try oldChunks.denied(decoded.oldDays, now: monotonicNanoseconds(), connection)
        guard !denied.isEmpty else { return }
        decoded.judgement.denied.merge(denied) { $0.union($1) }
        decode()
    }

    /// An earlier attempt's COMMIT had no answer, or one in doubt. That its row is visible does not say that it is durable.
    private func storedBefore(
        _ entry: LedgerEntry, without counted: KindSet = []
    ) throws(DatabaseError) -> StoredBatch {
        try entry.keepMalformed(connection)
        try connection.waitForEarlierCommits()
        let kinds: KindSet? = counted.isEmpty ? nil : KindSet.all.subtracting(counted)
        return StoredBatch(wasStoredBefore: true, deadLetters: deadLetters(of: entry.identity, kinds: kinds))
    }

    /// In one transaction; a second one where the server refuses rows.
    package func storeAtOnce(
        _ summary: BatchSummary, _ entry: LedgerEntry, _ frames: UnsafeRawBufferPointer, _ decoded: DecodedBatch
    ) throws(DatabaseError) -> StoredBatch {
        do throws(DatabaseError) {
            var outcome = StoredBatch(deadLetters: entry.letterRecords)
            guard try storeAllRows(entry, decoded, &outcome) else {
                try connection.rollback()
                let counting = SuppressedRows(
                    connection: connection, frames: frames, decoded: decoded, summary: summary)
                try counting.store(entry, &outcome)
                return outcome
            }
            return outcome
        } catch {
            guard connection.isUsable else { throw error }
            try connection.rollback()
            guard error.isAboutRows, error.refusingKind == nil, !LedgerEntry.operations.contains(error.operation) else {
                throw error
            }
            return try RowIsolation(
                connection: connection, frames: frames, decoded: decoded, summary: summary, accepted: accepted
            ).store(entry)
        }
    }

    /// - Returns: false where a trigger suppressed rows of a batch of several sources, so that it is not known whose. The
    ///   transaction is still open then.
    private func storeAllRows(
        _ entry: LedgerEntry, _ decoded: DecodedBatch, _ outcome: inout StoredBatch
    ) throws(DatabaseError) -> Bool {
        try entry.begin(connection)
        try TableCheck.run(decoded.rows.kinds, connection)
        for kind in SchemaSQL.kindsByTable where decoded.rows.rowCount(kind) > 0 {
            try compression?.takeAsSorted(kind, connection)
            let rowCount = decoded.rows.rowCount(kind)
            let stored = try connection.copy(into: kind) { () throws(DatabaseError) in
                try decoded.rows.withRows(kind) { (bytes) throws(DatabaseError) in
                    if compression != nil {
                        try connection.sendCopyData(CompressionOrder.sorted(kind, bytes, rowCount: rowCount))
                    } else {
                        try connection.sendCopyData(bytes)
                    }
                }
            }
            if stored < rowCount {
                guard decoded.sources.count == 1, let source = decoded.sources.keys.first else { return false }
                outcome.addSuppressed(rowCount - stored, of: kind, source: source)
            }
            try compression?.checkThatTheyWereTaken(kind, connection)
        }
        try entry.commit(connection)
        if outcome.suppressed.isEmpty { accepted?.note(decoded.rows) }
        return true
    }

    /// What an earlier attempt set aside, of all kinds or of some. Rare, so it may look through the table. A role that may not
    /// read it, or a look that fails, leaves these records counted as committed: that the batch is stored is settled, whatever
    /// comes of this.
    package func deadLetters(of identity: BatchIdentity, kinds: KindSet? = nil) -> [UInt64: Int] {
        var found: [UInt64: Int] = [:]
        do throws(DatabaseError) {
            let rows = try connection.query(
                """
                SELECT source, sum(records) FROM spillway.dead_letters WHERE epoch = $1 AND sequence = $2
                    AND ($3::text[] IS NULL OR kind = ANY ($3::text[])) GROUP BY source
                """,
                [
                    String(identity.epoch), String(identity.sequence),
                    kinds.map { "{" + $0.kinds.map(\.name).joined(separator: ",") + "}" },
                ])
            for row in rows {
                guard let source = row[0].flatMap({ Int64($0) }), let count = row[1].flatMap({ Int($0) }) else {
                    continue
                }
                found[UInt64(bitPattern: source)] = count
            }
        } catch {
            return [:]
        }
        return found
    }
}

extension DatabaseConnection {
    /// Opens a COPY into the kind's table, with all of its columns in the order of `CopyRowWriter`.
    package func beginCopy(into kind: MetricKind) throws(DatabaseError) {
        try beginCopy(into: SchemaSQL.table(kind), columns: ["time"] + kind.columns.map(\.name) + ["tags", "metadata"])
    }

    /// Sends rows to the kind's table with all that belongs to a COPY.
    ///
    /// - Returns: how many rows are stored, as `endRows` says.
    /// - Throws: with `refusingKind` where the server refuses whatever is sent.
    @discardableResult
    package func copy(into kind: MetricKind, _ send: () throws(DatabaseError) -> Void) throws(DatabaseError) -> Int {
        var hasBegun = false
        do throws(DatabaseError) {
            try beginCopy(into: kind)
            hasBegun = true
            try send()
            return try endRows()
        } catch {
            throw error.attributed(to: kind, hasBegun: hasBegun)
        }
    }

    /// The same as for bytes in memory of the caller's.
    package func sendCopyData(_ bytes: [UInt8]) throws(DatabaseError) {
        let failure: DatabaseError? = bytes.withUnsafeBytes { bytes in
            do throws(DatabaseError) {
                try sendCopyData(bytes)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    /// Sends COPY's trailer and ends it.
    ///
    /// - Returns: how many rows are stored. A BEFORE trigger that returns NULL suppresses a row without an error.
    package func endRows() throws(DatabaseError) -> Int {
        try sendCopyData(CopyRowWriter.trailer)
        return try finishCopy()
    }
}
