// What the database refused, for an operator who has found out why: to look at, to store after all, to throw away.

import Delivery
import FrameCodec
import MetricKinds
import Postgres
import StoreSchema
import StoreWriter

/// A letter with its frame.
public struct StoredDeadLetter: Sendable {
    public let id: Int64
    /// RFC 3339 in UTC.
    public let at: String
    /// Nil for a frame that was malformed inside.
    public let kind: String?
    public let source: UInt64
    public let records: Int
    public let reason: String
    public let sqlstate: String?
    /// The frame of the record alone, or the whole frame that it came in.
    public let frame: [UInt8]
    /// Where the record stands among those of its kind in a whole frame; nil for a frame of its own.
    public let recordIndex: Int?
}

/// Letters that have their kind and reason in common.
public struct DeadLetterGroup: Equatable, Sendable {
    public let kind: String?
    public let sqlstate: String?
    /// Without its details, which name the row.
    public let reason: String
    public let letters: Int64
    public let records: Int64
    /// RFC 3339 in UTC.
    public let first: String
    public let last: String
    public let lastID: Int64
}

/// Which letters are meant. What is empty or nil does not matter.
public struct DeadLetterFilter: Sendable {
    public var ids: [Int64] = []
    /// Letters with a higher id came later and are left out.
    public var upToID: Int64?
    public var kind: MetricKind?
    public var sqlstate: String?

    public init() {}

    /// For `$1` to `$4`.
    fileprivate static let condition =
        "(cardinality($1::bigint[]) = 0 OR id = ANY ($1::bigint[])) AND ($2::text IS NULL OR kind = $2) "
        + "AND ($3::text IS NULL OR sqlstate = $3) AND ($4::bigint IS NULL OR id <= $4)"
    fileprivate var parameters: [String?] {
        ["{" + ids.map(String.init).joined(separator: ",") + "}", kind?.name, sqlstate, upToID.map(String.init)]
    }
}

/// What came of storing letters after all.
public struct DeadLetterOutcome: Equatable, Sendable {
    /// Letters that were looked at.
    public var letters = 0
    public var recordsStored = 0
    /// Letters that stay: refused again, or malformed as before.
    public var lettersLeft = 0
    /// Why the last of them stays.
    public var lastReason: String?
    /// The kinds whose tables accept nothing, and why: their letters stay, and the others are stored.
    fileprivate var refusing: [MetricKind: String] = [:]
}

/// The letters of a database. Used by one thread, outside of transactions. Memory is bounded by `lettersAtOnce` frames.
public struct DeadLetterBox {
    private static let lettersAtOnce = 32
    private static let lockTimeout = "10s"
    private static let groupsMax = 1_000
    private static let time = "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'"

    private let connection: DatabaseConnection

    public init(_ connection: DatabaseConnection) { self.connection = connection }

    /// The letters by kind and reason, the most frequent first. O(letters).
    public func groups(_ filter: DeadLetterFilter = DeadLetterFilter()) throws(DatabaseError) -> [DeadLetterGroup] {
        let rows = try connection.query(
            """
            SELECT kind, sqlstate, split_part(reason, ';', 1), count(*), sum(records), to_char(min(at) AT TIME ZONE 'UTC', \(Self.time)),
                to_char(max(at) AT TIME ZONE 'UTC', \(Self.time)), max(id)
            FROM spillway.dead_letters WHERE \(DeadLetterFilter.condition)
            GROUP BY 1, 2, 3 ORDER BY count(*) DESC, max(id) DESC LIMIT \(Self.groupsMax)
            """, filter.parameters, operation: "counting the dead letters")
        return rows.map { row in
            DeadLetterGroup(
                kind: row[0], sqlstate: row[1], reason: row[2] ?? "", letters: row[3].flatMap { Int64($0) } ?? 0,
                records: row[4].flatMap { Int64($0) } ?? 0, first: row[5] ?? "", last: row[6] ?? "",
                lastID: row[7].flatMap { Int64($0) } ?? 0)
        }
    }

    /// Waits until no letter is being stored. An id is given before its letter is committed, so a lower one may appear after a
    /// higher one; not after this, for the ids that there are.
    ///
    /// - Throws: also where the role may only read (42501), and after a second (55P03): those that store letters wait meanwhile.
    public func settle() throws(DatabaseError) {
        try connection.inTransaction { () throws(DatabaseError) in
            try connection.execute("SET LOCAL lock_timeout = '\(SchemaManager.aheadLockTimeout)'")
            try connection.execute(
                "LOCK TABLE spillway.dead_letters IN SHARE MODE", operation: "waiting for letters that are being stored"
            )
        }
    }

    /// Gives the letters to `body`, oldest first.
    public func forEach<Failure: Error>(
        _ filter: DeadLetterFilter, limit: Int = .max, _ body: (StoredDeadLetter) throws(Failure) -> Void
    ) throws {
        var last: Int64 = .min
        var left = limit
        while left > 0 {
            let page = try page(filter, behind: last, min(left, Self.lettersAtOnce), lock: "")
            for letter in page { try body(letter) }
            guard let end = page.last else { return }
            last = end.id
            left -= page.count
        }
    }

    private func page(
        _ filter: DeadLetterFilter, behind id: Int64, _ count: Int, lock: String
    ) throws(DatabaseError) -> [StoredDeadLetter] {
        let rows = try connection.query(
            """
            SELECT id, to_char(at AT TIME ZONE 'UTC', \(Self.time)), kind, source, records, reason, sqlstate, record_index, frame
            FROM spillway.dead_letters WHERE \(DeadLetterFilter.condition) AND id > $5 ORDER BY id LIMIT $6 \(lock)
            """, filter.parameters + [String(id), String(count)], operation: "reading the dead letters")
        return rows.map { row in
            StoredDeadLetter(
                id: row[0].flatMap { Int64($0) } ?? 0, at: row[1] ?? "", kind: row[2],
                source: UInt64(bitPattern: row[3].flatMap { Int64($0) } ?? 0), records: row[4].flatMap { Int($0) } ?? 0,
                reason: row[5] ?? "", sqlstate: row[6], frame: Self.bytes(row[8] ?? ""),
                recordIndex: row[7].flatMap { Int($0) })
        }
    }

    /// The text form of bytea, `\x` and two digits a byte.
    private static func bytes(_ text: String) -> [UInt8] {
        func digit(_ byte: UInt8) -> UInt8 { byte <= UInt8(ascii: "9") ? byte & 15 : (byte & 15) + 9 }
        let digits = Array(text.utf8.dropFirst(2))
        return stride(from: 0, to: digits.count - 1, by: 2).map { digit(digits[$0]) << 4 | digit(digits[$0 + 1]) }
    }

    /// Stores letters in their tables and removes them, each in the same transaction: once, whatever happens meanwhile. One
    /// that the database refuses again stays as it is.
    ///
    /// - Parameter anyTime: also those that are letters for their times alone.
    public func sendAgain(
        _ filter: DeadLetterFilter, anyTime: Bool = false, show: (DeadLetterOutcome) -> Void = { _ in }
    ) throws(DatabaseError) -> DeadLetterOutcome {
        var outcome = DeadLetterOutcome()
        var last: Int64 = .min
        var pageSize = Self.lettersAtOnce
        while true {
            let before = outcome
            do throws(DatabaseError) {
                let end = try connection.inTransaction { () throws(DatabaseError) -> Int64? in
                    try sendPage(filter, behind: last, pageSize, anyTime: anyTime, &outcome)
                }
                guard let end else { break }
                last = end
                pageSize = Self.lettersAtOnce
            } catch {
                guard connection.isUsable else { throw error }
                outcome = before
                if let kind = error.refusingKind, outcome.refusing[kind] == nil {
                    // The page is tried again without the letters of this table.
                    outcome.refusing[kind] = "\(SchemaSQL.table(kind)) accepts nothing: \(error)"
                    continue
                }
                // Their days are too many for one transaction.
                guard error.sqlstate == .outOfMemory else { throw error }
                if pageSize == 1 {
                    guard let letter = try page(filter, behind: last, 1, lock: "").first else { break }
                    last = letter.id
                    outcome.letters += 1
                    outcome.lettersLeft += 1
                    outcome.lastReason =
                        "its days are too many for one transaction on this server: raise max_locks_per_transaction"
                    pageSize = Self.lettersAtOnce
                } else {
                    pageSize = 1
                }
            }
            show(outcome)
        }
        if outcome.recordsStored > 0 {
            try MaintenanceLog(connection).add(
                "resend", "spillway.dead_letters",
                "\(outcome.recordsStored) records stored, \(outcome.lettersLeft) letters left")
        }
        return outcome
    }

    /// - Returns: the id of the last letter that was looked at; nil without any.
    private func sendPage(
        _ filter: DeadLetterFilter, behind last: Int64, _ count: Int, anyTime: Bool, _ outcome: inout DeadLetterOutcome
    ) throws(DatabaseError) -> Int64? {
        try connection.execute("SET LOCAL lock_timeout = '\(Self.lockTimeout)'")
        // What another one is at is left to it.
        let page = try page(filter, behind: last, count, lock: "FOR UPDATE SKIP LOCKED")
        var stored: [Int64] = []
        for letter in page {
            outcome.letters += 1
            if let reason = try store(letter, anyTime: anyTime, &outcome) {
                outcome.lettersLeft += 1
                outcome.lastReason = reason
            } else {
                stored.append(letter.id)
            }
        }
        if !stored.isEmpty {
            let gone = try connection.query(
                "DELETE FROM spillway.dead_letters WHERE id = ANY ($1::bigint[]) RETURNING 1",
                ["{" + stored.map(String.init).joined(separator: ",") + "}"], operation: "removing dead letters")
            // Else their records would be stored again by the next run.
            guard gone.count == stored.count else {
                throw connection.error(.suppressed(table: "spillway.dead_letters", rows: stored.count - gone.count))
            }
        }
        return page.last?.id
    }

    /// - Returns: nil when the letter's records are stored, else why not.
    private func store(
        _ letter: StoredDeadLetter, anyTime: Bool, _ outcome: inout DeadLetterOutcome
    ) throws(DatabaseError) -> String? {
        if !anyTime, letter.sqlstate == DeadLetter.outOfBoundsState.rawValue,
            letter.reason.hasPrefix(DeadLetter.outOfBoundsReason)
        {
            return "\(letter.reason): --any-time stores it"
        }
        let decoded = DecodedBatch()
        let problem: String? = letter.frame.withUnsafeBytes { bytes in
            let header: FrameHeader
            do throws(FrameError) {
                header = try FrameHeader.read(bytes.bytes)
            } catch {
                return "\(error)"
            }
            guard header.frameLength == bytes.count else { return "the letter holds no whole frame" }
            // Of a whole frame only the refused records are meant.
            let kind = letter.kind.flatMap { MetricKind(name: $0) }
            decoded.decode(bytes, leavingOut: kind.map { KindSet.all.subtracting(KindSet($0)) } ?? [])
            if let fault = decoded.refused.first { return "\(fault.error)" }
            guard
                letter.kind == nil || letter.recordIndex != nil || header.recordCount == 1
                    || letter.records == decoded.recordCount
            else { return "its frame has \(header.recordCount) records, and which of them was refused is not known" }
            return nil
        }
        if let problem { return problem }
        if let kind = SchemaSQL.kindsByTable.first(where: {
            decoded.rows.kinds.contains($0) && outcome.refusing[$0] != nil
        }) {
            return outcome.refusing[kind]
        }
        try TableCheck.run(decoded.rows.kinds, connection)
        try connection.execute("SAVEPOINT letter")
        do throws(DatabaseError) {
            var rows = 0
            var stored = 0
            for kind in SchemaSQL.kindsByTable where decoded.rows.rowCount(kind) > 0 {
                if let index = letter.recordIndex {
                    guard kind.name == letter.kind, index < decoded.rows.rowCount(kind) else { continue }
                    rows += 1
                    stored += try copy(decoded, kind, index..<index + 1)
                } else {
                    rows += decoded.rows.rowCount(kind)
                    stored += try copy(decoded, kind, 0..<decoded.rows.rowCount(kind))
                }
            }
            if stored < rows {
                try connection.execute("ROLLBACK TO SAVEPOINT letter; RELEASE SAVEPOINT letter")
                return "a BEFORE INSERT trigger of its table suppresses it: drop the trigger, or let it RETURN NEW"
            }
            try connection.execute("RELEASE SAVEPOINT letter")
            outcome.recordsStored += rows
            return rows == 0 ? "this program knows none of its records" : nil
        } catch {
            guard connection.isUsable, error.isAboutRows, error.refusingKind == nil,
                case .server(let report) = error.kind
            else { throw error }
            try connection.execute("ROLLBACK TO SAVEPOINT letter; RELEASE SAVEPOINT letter")
            return report.reason
        }
    }

    private func copy(_ decoded: DecodedBatch, _ kind: MetricKind, _ rows: Range<Int>) throws(DatabaseError) -> Int {
        do throws(DatabaseError) {
            try connection.beginCopy(into: kind)
        } catch {
            throw error.attributed(to: kind, hasBegun: false)
        }
        do throws(DatabaseError) {
            try decoded.rows.withRows(kind) { (bytes) throws(DatabaseError) in
                let offsets = CopyRows.rowOffsets(bytes)
                try connection.sendCopyData(UnsafeRawBufferPointer(rebasing: bytes[..<CopyTable.headerBytes]))
                try connection.sendCopyData(
                    UnsafeRawBufferPointer(rebasing: bytes[offsets[rows.lowerBound]..<offsets[rows.upperBound]]))
            }
            return try connection.endRows()
        } catch {
            throw error.attributed(to: kind, hasBegun: true)
        }
    }

    /// Removes letters for good.
    ///
    /// - Returns: how many.
    public func discard(_ filter: DeadLetterFilter) throws(DatabaseError) -> Int64 {
        try connection.inTransaction { () throws(DatabaseError) -> Int64 in
            let rows = try connection.query(
                """
                WITH gone AS (DELETE FROM spillway.dead_letters WHERE \(DeadLetterFilter.condition) RETURNING records)
                SELECT count(*) FROM gone
                """, filter.parameters, operation: "discarding dead letters")
            let count = rows.first?[0].flatMap { Int64($0) } ?? 0
            if count > 0 { try MaintenanceLog(connection).add("discard", "spillway.dead_letters", "\(count) letters") }
            return count
        }
    }
}
