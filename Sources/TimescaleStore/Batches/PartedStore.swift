// Stores a batch whose rows spread over many days, in several transactions.
//
// Every chunk that a transaction touches takes locks until its end, and a missing chunk is made under a lock that others wait for:
// one transaction over years of days exhausts the server's table of locks. So the rows go in parts of a few days each. A part's
// key is in its transaction, so that a repeated attempt passes over what is stored; the batch's own row in the ledger comes last,
// and takes the keys of the parts away.

import Delivery
import FrameCodec
import MetricKinds

struct PartedStore {
    /// Chunks that a transaction may touch.
    static let chunksMax = 64

    /// The rows of one table and day, which is at most one chunk of the usual length.
    private struct Unit: Hashable {
        let kind: MetricKind
        let day: Int64
    }

    let isolation: RowIsolation
    let chunksPerPart: Int

    init(_ isolation: RowIsolation, chunksPerPart: Int = Self.chunksMax) {
        self.isolation = isolation
        self.chunksPerPart = chunksPerPart
    }

    private var connection: DatabaseConnection { isolation.connection }

    /// Whether a batch wants this. O(1) for one whose rows are near each other in time, else O(bytes).
    static func isWanted(_ decoded: DecodedBatch) -> Bool {
        let rows = decoded.rows.timeRange
        guard let rows else { return false }
        let days = UTCDay(microseconds: rows.upperBound).number - UTCDay(microseconds: rows.lowerBound).number + 1
        let tables = BatchWriter.kindsByTable.count { decoded.rows.rowCount($0) > 0 }
        guard days > Int64(chunksMax / max(tables, 1)) else { return false }
        return units(decoded).count > chunksMax
    }

    private static func units(_ decoded: DecodedBatch) -> [Unit: [Int]] {
        var units: [Unit: [Int]] = [:]
        for kind in BatchWriter.kindsByTable where decoded.rows.rowCount(kind) > 0 {
            decoded.rows.withRows(kind) { bytes in
                for (index, offset) in RowIsolation.rowOffsets(bytes).dropLast().enumerated() {
                    let day = UTCDay(microseconds: CopyRowWriter.time(ofRowAt: offset, in: bytes))
                    units[Unit(kind: kind, day: day.number), default: []].append(index)
                }
            }
        }
        return units
    }

    /// Stores what is not stored yet of a batch.
    ///
    /// - Returns: false when all of it was stored before.
    /// - Throws: as `BatchWriter.store` does; what was committed stays, and is passed over when it is tried again.
    func store(_ entry: LedgerEntry) throws(DatabaseError) -> Bool {
        guard entry.hasSessions else { return try storeParts(entry) }
        // Parts are committed before the batch's row says which frames they hold: nobody else may store one of them meanwhile.
        return try SessionLock.holding(connection) { () throws(DatabaseError) in
            guard try storedUnits(entry.identity) != nil else { return false }
            try entry.checkSessions(connection)
            return try storeParts(entry)
        }
    }

    private func storeParts(_ entry: LedgerEntry) throws(DatabaseError) -> Bool {
        let units = Self.units(isolation.decoded)
        let rank = Dictionary(uniqueKeysWithValues: BatchWriter.kindsByTable.enumerated().map { ($1, $0) })
        let order = units.keys.sorted { (rank[$0.kind]!, $0.day) < (rank[$1.kind]!, $1.day) }
        guard var stored = try storedUnits(entry.identity) else { return false }
        let waiting = order.filter { !stored.contains($0) }
        for start in stride(from: 0, to: waiting.count, by: chunksPerPart) {
            let part = waiting[start..<min(start + chunksPerPart, waiting.count)].filter { !stored.contains($0) }
            guard !part.isEmpty else { continue }
            do throws(DatabaseError) {
                try store(part, units, entry)
            } catch {
                // A half-dead session of ours has stored it meanwhile: what it has is passed over.
                guard error.sqlstate == .uniqueViolation, error.operation == LedgerEntry.partOperation,
                    connection.isUsable
                else { throw error }
                guard let now = try storedUnits(entry.identity) else { return false }
                stored = now
                guard part.allSatisfy({ stored.contains($0) }) else { throw error }
            }
        }
        try connection.inTransaction { () throws(DatabaseError) -> Void in
            try entry.write(connection)
            try connection.query(
                "DELETE FROM spillway.batch_parts WHERE epoch = $1 AND sequence = $2",
                [String(entry.identity.epoch), String(entry.identity.sequence)])
        }
        return true
    }

    /// What is stored of a batch; nil when all of it is. One statement, and so one moment: the keys of the parts go with the
    /// transaction that writes the batch's row.
    private func storedUnits(_ identity: BatchIdentity) throws(DatabaseError) -> Set<Unit>? {
        let rows = try connection.query(
            """
            SELECT kind, day FROM spillway.batch_parts WHERE epoch = $1 AND sequence = $2
            UNION ALL SELECT NULL, NULL FROM spillway.batches WHERE epoch = $1 AND sequence = $2
            UNION ALL SELECT NULL, NULL FROM spillway.batch_ranges
                WHERE epoch = $1::bigint AND first <= $2::bigint AND behind > $2::bigint
            """, [String(identity.epoch), String(identity.sequence)], operation: "looking for stored parts of a batch")
        if rows.contains(where: { $0[0] == nil }) { return nil }
        return Set(
            rows.compactMap { row in
                guard let kind = row[0].flatMap({ UInt8($0) }).flatMap({ MetricKind(rawValue: $0) }),
                    let day = row[1].flatMap({ Int64($0) })
                else { return nil }
                return Unit(kind: kind, day: day)
            })
    }

    private func store(_ part: [Unit], _ units: [Unit: [Int]], _ entry: LedgerEntry) throws(DatabaseError) {
        try connection.inTransaction { () throws(DatabaseError) -> Void in
            try entry.beginPart(connection, part.map { (kind: $0.kind, day: $0.day) })
            var refused: [RefusedRow] = []
            for kind in BatchWriter.kindsByTable {
                let indices = part.filter { $0.kind == kind }.flatMap { units[$0] ?? [] }.sorted()
                guard !indices.isEmpty else { continue }
                let bytes = gather(kind, indices)
                refused += try withBytes(bytes) { (buffer) throws(DatabaseError) in
                    try isolation.storeRows(TableRows(kind, buffer, indices: indices))
                }
            }
            for letter in isolation.deadLetters(refused) { try letter.insert(connection, entry.identity) }
        }
    }

    /// COPY's header and some of a table's rows. O(bytes of the table).
    private func gather(_ kind: MetricKind, _ indices: [Int]) -> [UInt8] {
        isolation.decoded.rows.withRows(kind) { bytes in
            let offsets = RowIsolation.rowOffsets(bytes)
            var gathered = Array(bytes[..<CopyTable.headerBytes])
            for index in indices { gathered += bytes[offsets[index]..<offsets[index + 1]] }
            return gathered
        }
    }

    /// As `withUnsafeBytes`, with the error's type.
    private func withBytes<Value>(
        _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(DatabaseError) -> Value
    ) throws(DatabaseError) -> Value {
        let result: Result<Value, DatabaseError> = bytes.withUnsafeBytes { buffer in
            do throws(DatabaseError) { return .success(try body(buffer)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
