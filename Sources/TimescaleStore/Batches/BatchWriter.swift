// Stores a batch: one transaction with its ledger row and one COPY for each table, in the order of the tables' names.
//
// Exactly once: the ledger's key is the batch's identity. An attempt after an unknown COMMIT meets the key of the first one
// and knows that the batch is stored; a repeated key also waits for the transaction that holds it, so a half-dead session
// cannot commit behind our back.

import Delivery
import FrameCodec
import MetricKinds

/// How an attempt to store a batch ended well.
public struct StoredBatch: Sendable, Equatable {
    /// The ledger has the batch from another attempt, which was committed; of one in parts, the rest of it.
    public var wasStoredBefore: Bool
    /// Records that the server refused and that went to `spillway.dead_letters`, by source.
    public var deadLetters: [UInt64: Int]
    /// Records, by source, of frames that were passed over as stored and that an earlier attempt at this very batch had stored
    /// as a part of it.
    public var ownRecords: [UInt64: Int]

    public init(
        wasStoredBefore: Bool = false, deadLetters: [UInt64: Int] = [:], ownRecords: [UInt64: Int] = [:]
    ) {
        self.wasStoredBefore = wasStoredBefore
        self.deadLetters = deadLetters
        self.ownRecords = ownRecords
    }
}

/// Stores batches over one connection. Used by one thread.
public struct BatchWriter {
    let connection: DatabaseConnection
    /// COPY goes through the tables in this order, whatever the order of the kinds, so that two lanes never wait for each
    /// other's locks in a circle.
    static let kindsByTable = MetricKind.allCases.sorted { $0.tableName < $1.tableName }

    /// Whose batches these are: see `CommitFence`.
    let fence: CommitFence
    /// Of a session that compresses: each table's rows go in the order of its columnstore.
    let compression: DirectCompression?

    public init(_ connection: DatabaseConnection, fence: CommitFence, compression: DirectCompression? = nil) {
        self.connection = connection
        self.fence = fence
        self.compression = compression
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
    /// - Throws: when nothing is known to be stored. `isTransient` says whether trying again can help without a change
    ///   by the operator; after `isCommitOutcomeUnknown` trying again settles it.
    public func store(
        _ summary: BatchSummary, frames: UnsafeRawBufferPointer, decoded: DecodedBatch, keepsMalformed: Bool = false
    ) throws(DatabaseError) -> StoredBatch {
        let entry = LedgerEntry(
            summary, fence: fence, decoded: decoded, frames: frames, keepsMalformed: keepsMalformed)
        func inParts(chunksMax: Int) throws(DatabaseError) -> StoredBatch {
            let parts = PartedStore(
                connection: connection, fence: fence, summary: summary, frames: frames, decoded: decoded,
                keepsMalformed: keepsMalformed, chunksMax: chunksMax)
            guard let ownRecords = try parts.store() else { return try storedBefore(entry) }
            // A part that a live attempt stored has none of the malformed frames, which are acknowledged by now.
            try entry.keepMalformed(connection)
            // Parts that an earlier attempt stored may have letters as well.
            return StoredBatch(deadLetters: deadLetters(of: summary.identity), ownRecords: ownRecords)
        }
        do throws(DatabaseError) {
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

    private func storedBefore(_ entry: LedgerEntry) throws(DatabaseError) -> StoredBatch {
        try entry.keepMalformed(connection)
        return StoredBatch(wasStoredBefore: true, deadLetters: deadLetters(of: entry.identity))
    }

    /// In one transaction; a second one where the server refuses rows.
    private func storeAtOnce(
        _ summary: BatchSummary, _ entry: LedgerEntry, _ frames: UnsafeRawBufferPointer, _ decoded: DecodedBatch
    ) throws(DatabaseError) -> StoredBatch {
        do throws(DatabaseError) {
            try storeAllRows(entry, decoded)
            return StoredBatch(deadLetters: entry.malformedRecords)
        } catch {
            guard connection.isUsable else { throw error }
            try connection.rollback()
            guard error.isAboutRows, error.operation != LedgerEntry.operation else { throw error }
            return try RowIsolation(connection: connection, frames: frames, decoded: decoded, summary: summary)
                .store(entry)
        }
    }

    private func storeAllRows(_ entry: LedgerEntry, _ decoded: DecodedBatch) throws(DatabaseError) {
        try entry.begin(connection)
        for kind in Self.kindsByTable where decoded.rows.rowCount(kind) > 0 {
            try compression?.takeAsSorted(kind, connection)
            try connection.beginCopy(into: kind)
            try decoded.rows.withRows(kind) { (bytes) throws(DatabaseError) in
                if compression != nil {
                    let rowCount = decoded.rows.rowCount(kind)
                    try connection.sendCopyData(CompressionOrder.sorted(kind, bytes, rowCount: rowCount))
                } else {
                    try connection.sendCopyData(bytes)
                }
            }
            try connection.endRows()
            try compression?.checkThatTheyWereTaken(kind, connection)
        }
        try entry.commit(connection)
    }

    /// What an earlier attempt set aside. Rare, so it may look through the table. A role that may not read it, or a look
    /// that fails, leaves these records counted as committed: that the batch is stored is settled, whatever comes of this.
    private func deadLetters(of identity: BatchIdentity) -> [UInt64: Int] {
        var found: [UInt64: Int] = [:]
        do throws(DatabaseError) {
            let rows = try connection.query(
                """
                SELECT source, sum(records) FROM spillway.dead_letters WHERE epoch = $1 AND sequence = $2 GROUP BY source
                """, [String(identity.epoch), String(identity.sequence)])
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
    func beginCopy(into kind: MetricKind) throws(DatabaseError) {
        try beginCopy(into: SchemaSQL.table(kind), columns: ["time"] + kind.columns.map(\.name) + ["tags", "metadata"])
    }

    /// The same as for bytes in memory of the caller's.
    func sendCopyData(_ bytes: [UInt8]) throws(DatabaseError) {
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
    func endRows() throws(DatabaseError) {
        try sendCopyData(CopyRowWriter.trailer)
        try finishCopy()
    }
}

extension DatabaseError {
    /// Whether the server refused what a row says, so that the other rows can be stored without it: data exceptions (22),
    /// violated constraints (23), program limits such as an index row that is too long (54), what the row's chunk does
    /// not support (0A), and errors that a trigger or function raises (P0).
    var isAboutRows: Bool {
        guard case .server(let report) = kind, !report.endsSession else { return false }
        // The row's partition is being made. The name is not translated.
        guard !report.message.contains(PartitionAttachment.constraintName) else { return false }
        return ["22", "23", "54", "0A", "P0"].contains(String(report.sqlstate.errorClass))
    }
}
