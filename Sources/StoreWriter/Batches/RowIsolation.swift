// Stores a batch in which the server refuses rows: each refused row becomes a dead letter, all others are stored, in one
// transaction with the ledger row.
//
// COPY has no way to skip a row, so a table's rows go in runs, each behind a savepoint. When a run fails, the error's
// context names the row: the rows before it are sent again and the row is set aside. An error that names no row halves the
// run until one row is left. Runs become an eighth with each refused row, and double with each run that is stored, so that
// many refused rows do not send the rest of the table again for each of them.
//
// Where a table refuses `equalRefusalsMax` rows in a row for one cause, or all that there are, one row that it took before is
// tried, and taken back. If it is refused as well, it is the table that accepts nothing: then no row is set aside.

import Delivery
import FrameCodec
import MetricKinds
import Postgres
import StoreSchema

/// A row that the server refused.
package struct RefusedRow {
    package let kind: MetricKind
    /// Among the rows of its table in the batch.
    package let index: Int
    package let report: ServerReport
}

package struct RowIsolation {
    package let connection: DatabaseConnection
    package let frames: UnsafeRawBufferPointer
    package let decoded: DecodedBatch
    package let summary: BatchSummary
    /// Of the first of `frames` in the batch.
    package var firstPlace = 0
    package var accepted: AcceptedRows?

    package func store(_ entry: LedgerEntry) throws(DatabaseError) -> StoredBatch {
        var outcome = StoredBatch(deadLetters: entry.letterRecords)
        do throws(DatabaseError) {
            try entry.begin(connection)
            try TableCheck.run(decoded.rows.kinds, connection)
            var refused: [RefusedRow] = []
            var suppressed: [(kind: MetricKind, rows: Int)] = []
            for kind in SchemaSQL.kindsByTable where decoded.rows.rowCount(kind) > 0 {
                let before = refused.count
                var rowsStored = 0
                refused += try decoded.rows.withRows(kind) { (bytes) throws(DatabaseError) in
                    try storeRows(kind, bytes, &rowsStored)
                }
                let rows = decoded.rows.rowCount(kind) - rowsStored - (refused.count - before)
                if rows > 0 { suppressed.append((kind, rows)) }
            }
            // Not all of them at once: each has a frame of its own.
            var letters: [DeadLetter] = []
            var frameBytes = 0
            try forEachDeadLetter(refused) { (letter) throws(DatabaseError) in
                outcome.deadLetters[letter.source, default: 0] += 1
                letters.append(letter)
                frameBytes += letter.frame.count
                guard frameBytes >= DeadLetter.frameBytesPerStatement else { return }
                try DeadLetter.insert(letters, connection, entry.identity)
                letters = []
                frameBytes = 0
            }
            try DeadLetter.insert(letters, connection, entry.identity)
            for (kind, rows) in suppressed { outcome.addSuppressed(rows, of: kind, in: decoded.sources) }
            try entry.commit(connection)
        } catch {
            if connection.isUsable { try connection.rollback() }
            throw error
        }
        return outcome
    }

    // MARK: Rows

    /// How many rows are tried at once after the first refused one.
    private static let firstRunRows = 64
    /// Refusals for one cause, without an accepted row between them, until the table itself is suspected.
    private static let equalRefusalsMax = 100

    private func storeRows(
        _ kind: MetricKind, _ bytes: UnsafeRawBufferPointer, _ rowsStored: inout Int
    ) throws(DatabaseError) -> [RefusedRow] {
        let offsets = CopyRows.rowOffsets(bytes)
        let rowCount = offsets.count - 1
        var refused: [RefusedRow] = []
        var runLength = rowCount
        var next = 0
        var equal: (cause: String, count: Int) = ("", 0)
        var isTried = false
        while next < rowCount {
            var run = next..<min(next + runLength, rowCount)
            var isStored = true
            let before = rowsStored
            while let report = try copy(run, of: kind, bytes, offsets, &rowsStored) {
                runLength = max(1, min(Self.firstRunRows, runLength / 8))
                if run.count == 1 {
                    refused.append(RefusedRow(kind: kind, index: run.lowerBound, report: report))
                    isStored = false
                    equal = report.cause == equal.cause ? (equal.cause, equal.count + 1) : (report.cause, 1)
                    let isEnd = refused.count == rowCount && equal.count == rowCount
                    if !isTried, equal.count >= Self.equalRefusalsMax || isEnd {
                        isTried = true
                        try checkThatItAcceptsRows(kind, report)
                    }
                    break
                }
                if let line = report.copyLine, (1...run.count).contains(line) {
                    let row = run.lowerBound + line - 1
                    // The rows before it are a run that can only fail for another reason; the row itself is one alone.
                    run = row > run.lowerBound ? run.lowerBound..<row : row..<row + 1
                } else {
                    run = run.lowerBound..<run.lowerBound + run.count / 2
                }
            }
            if isStored {
                equal.count = 0
                // A row that a trigger suppressed says nothing about the table.
                if rowsStored - before == run.count {
                    accepted?.note(
                        kind,
                        UnsafeRawBufferPointer(rebasing: bytes[offsets[run.lowerBound]..<offsets[run.upperBound]]))
                }
            }
            next = run.upperBound
            runLength = min(runLength * 2, rowCount)
        }
        return refused
    }

    /// Sends one row and takes it back.
    ///
    /// - Throws: the table's refusal, with `refusingKind`, where this row is refused for the same cause as the others. A row
    ///   that is there already says nothing about the table.
    private func checkThatItAcceptsRows(_ kind: MetricKind, _ refusal: ServerReport) throws(DatabaseError) {
        guard ![SQLState.uniqueViolation, .exclusionViolation].contains(refusal.sqlstate) else { return }
        try connection.execute("SAVEPOINT trial")
        var report: ServerReport?
        do throws(DatabaseError) {
            try connection.copy(into: kind) { () throws(DatabaseError) in
                try connection.sendCopyData(accepted?.trial(kind) ?? AcceptedRows.empty(kind))
            }
        } catch {
            guard connection.isUsable, error.isAboutRows, error.refusingKind == nil,
                case .server(let refused) = error.kind
            else { throw error }
            report = refused
        }
        guard report?.cause != refusal.cause else {
            var error = connection.error(.server(refusal))
            error.refusingKind = kind
            throw error
        }
        try connection.execute("ROLLBACK TO SAVEPOINT trial; RELEASE SAVEPOINT trial")
    }

    /// Sends a run of rows behind a savepoint.
    ///
    /// - Returns: nil when they are stored, or why the server refused one of them.
    private func copy(
        _ run: Range<Int>, of kind: MetricKind, _ bytes: UnsafeRawBufferPointer, _ offsets: [Int],
        _ rowsStored: inout Int
    ) throws(DatabaseError) -> ServerReport? {
        try connection.execute("SAVEPOINT run")
        do throws(DatabaseError) {
            rowsStored += try connection.copy(into: kind) { () throws(DatabaseError) in
                try connection.sendCopyData(UnsafeRawBufferPointer(rebasing: bytes[..<CopyTable.headerBytes]))
                try connection.sendCopyData(
                    UnsafeRawBufferPointer(
                        rebasing: bytes[offsets[run.lowerBound]..<offsets[run.upperBound]]))
            }
            // A long batch of faults must not keep a subtransaction for each.
            try connection.execute("RELEASE SAVEPOINT run")
            return nil
        } catch {
            guard connection.isUsable, error.isAboutRows, error.refusingKind == nil,
                case .server(let report) = error.kind
            else { throw error }
            try connection.execute("ROLLBACK TO SAVEPOINT run; RELEASE SAVEPOINT run")
            return report
        }
    }

    // MARK: Dead letters

    /// Takes the refused records out of their frames, each into a frame of its own. O(bytes of the batch).
    private func forEachDeadLetter(
        _ refused: [RefusedRow], _ body: (DeadLetter) throws(DatabaseError) -> Void
    ) throws(DatabaseError) {
        guard !refused.isEmpty else { return }
        var waiting: [MetricKind: [Int: ServerReport]] = [:]
        for row in refused { waiting[row.kind, default: [:]][row.index] = row.report }
        var rowIndex: [MetricKind: Int] = [:]
        var failure: DatabaseError?
        var decoder = FrameDecoder()
        var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        var place = firstPlace - 1
        forEachFrame(frames) { frame, header, _ in
            place += 1
            guard failure == nil, !decoded.skips(header, at: place, of: summary) else { return }
            let before = rowIndex
            // A letter names a record by its place among all of its kind in the frame.
            var placeOfKind: [MetricKind: Int] = [:]
            var reports: [(ServerReport, index: Int)] = []
            var collector = RecordCollector { kind, time in
                let placeInFrame = placeOfKind[kind, default: 0]
                placeOfKind[kind] = placeInFrame + 1
                guard
                    decoded.judgement.accepts(
                        time, of: kind, source: header.identity.source, arrival: summary.openedMicroseconds)
                else { return false }
                let index = rowIndex[kind, default: 0]
                rowIndex[kind] = index + 1
                guard let report = waiting[kind]?[index] else { return false }
                reports.append((report, placeInFrame))
                return true
            }
            do throws(FrameError) {
                try decoder.decode(frame, header: header, &collector)
            } catch {
                // A malformed frame has no rows.
                rowIndex = before
                return
            }
            for (record, (report, index)) in zip(collector.records, reports) {
                let own = Self.frame([record], header.identity, &encoder)
                do throws(DatabaseError) {
                    try body(
                        DeadLetter(
                            kind: record.kind, source: header.identity.source, records: 1, reason: report.reason,
                            sqlstate: report.sqlstate, frame: own ?? frame.withUnsafeBytes { Array($0) },
                            recordIndex: own == nil ? index : nil))
                } catch {
                    failure = error
                    return
                }
            }
        }
        if let failure { throw failure }
    }

    /// Nil for records that repeat their texts so often that they need the rest of their frame: then the dead letter keeps
    /// the frame whole.
    ///
    /// - Parameter encoder: without a record.
    package static func frame(
        _ records: [AnyRecord], _ identity: FrameIdentity, _ encoder: inout FrameEncoder
    ) -> [UInt8]? {
        do throws(RecordError) {
            for record in records { guard try encoder.append(record) else { return nil } }
        } catch {
            return nil
        }
        return encoder.finish(identity) { frame in frame.withUnsafeBytes { Array($0) } }
    }
}

extension ServerReport {
    /// Message and detail in one line.
    package var reason: String { [message, detail].compactMap(\.self).joined(separator: "; ") }
}
