// A day's native partition for a table in use. The rows of that day may be in the default partition already, where late
// schema changes send them, and there may be millions of them.
//
// Limits: no lock that a COPY needs is held while more than `movedRowsMax` rows are moved or `scannedBytesMax` are read; waiting
// for one ends after `SchemaManager.aheadLockTimeout`. What reads more has no limit of time and takes no such lock.
//
// Attaching reads the whole default partition under its exclusive lock, unless a valid constraint says that it has no row of
// the new range. So, where the default partition is large, that constraint is made and validated first, beside COPYs. Until the
// partition is there, a row of the range is refused by it: the batch is tried again (`DatabaseError.isAboutRows`).

import MetricKinds

/// Makes one partition. Used by one thread, outside of transactions, by the holder of `Leadership.partitions`.
struct PartitionAttachment {
    static let constraintName = "spillway_partition_begins"
    private static let movedRowsMax = 10_000
    private static let scannedBytesMax: Int64 = 67_108_864
    /// How far in the future a range begins whose rows may be refused for a moment.
    private static let leadMinutes = 10

    let connection: DatabaseConnection
    let kind: MetricKind
    let day: UTCDay
    let nowMicroseconds: Int64

    private var fallback: String { SchemaSQL.defaultPartitionName(kind) }

    /// The default partition is too large to be read under a lock.
    func isLarge() throws(DatabaseError) -> Bool {
        let rows = try connection.query(
            "SELECT pg_catalog.pg_relation_size('\(fallback)'::regclass)", operation: "measuring \(fallback)")
        return (rows.first?[0].flatMap { Int64($0) } ?? 0) > Self.scannedBytesMax
    }

    /// The first full hour of the day from which on few rows are in the default partition, or none where it is large.
    ///
    /// - Returns: as PostgreSQL reads it; nil when every hour has rows.
    func firstHour(isLarge: Bool) throws(DatabaseError) -> String? {
        let limit = isLarge ? 0 : Self.movedRowsMax
        let lead =
            isLarge
            ? "\(DatabaseClock.time("$1")) + interval '\(Self.leadMinutes) minutes'" : "'-infinity'::timestamptz"
        let end = "'\(day.advanced(by: 1).timestamp)'::timestamptz"
        let rows = try connection.query(
            """
            SELECT hour FROM generate_series('\(day.timestamp)'::timestamptz, \(end) - interval '1 hour', interval '1 hour') hour
            WHERE hour >= \(lead) AND $1::bigint IS NOT NULL AND \(limit) >= (
                SELECT count(*) FROM (
                    SELECT FROM ONLY \(fallback) WHERE time >= hour AND time < \(end) LIMIT \(limit + 1)) few)
            ORDER BY hour LIMIT 1
            """, [String(nowMicroseconds)], operation: "reading the hours of \(fallback)")
        return rows.first?[0]
    }

    /// In a transaction: makes the partition and moves the few rows that are of it.
    func attachWithRows(from begin: String) throws(DatabaseError) {
        for statement in SchemaSQL.attachPartition(kind, day, from: begin) { try connection.execute(statement) }
    }

    /// Makes the constraint and proves it. Beside COPYs, except for the moment of making it.
    func exclude(from begin: String) throws(DatabaseError) {
        try connection.inTransaction { () throws(DatabaseError) in
            try connection.execute("SET LOCAL lock_timeout = '\(SchemaManager.aheadLockTimeout)'")
            try connection.execute(
                """
                ALTER TABLE \(fallback) ADD CONSTRAINT \(Self.constraintName)
                CHECK (time < '\(begin)' OR time >= '\(day.advanced(by: 1).timestamp)') NOT VALID
                """)
        }
        try connection.withoutTimeLimit { () throws(DatabaseError) in
            try connection.execute("ALTER TABLE \(fallback) VALIDATE CONSTRAINT \(Self.constraintName)")
        }
    }

    /// In a transaction: makes the partition, of which the default one is known to have no row.
    func attachEmpty(from begin: String) throws(DatabaseError) {
        for statement in SchemaSQL.attachEmptyPartition(kind, day, from: begin) { try connection.execute(statement) }
        try connection.execute("ALTER TABLE \(fallback) DROP CONSTRAINT \(Self.constraintName)")
    }

    /// Removes the constraint of an attempt that failed, by this process or one that has ended.
    func dropConstraint() throws(DatabaseError) {
        let rows = try connection.query(
            """
            SELECT FROM pg_catalog.pg_constraint
            WHERE conrelid = '\(fallback)'::regclass AND conname = '\(Self.constraintName)'
            """, operation: "checking the constraints of \(fallback)")
        guard !rows.isEmpty else { return }
        try connection.inTransaction { () throws(DatabaseError) in
            try connection.execute("SET LOCAL lock_timeout = '\(SchemaManager.aheadLockTimeout)'")
            try connection.execute("ALTER TABLE \(fallback) DROP CONSTRAINT IF EXISTS \(Self.constraintName)")
        }
    }
}

extension DatabaseConnection {
    /// Runs what may take hours and holds up no other session: neither the server nor this side ends it for its duration.
    func withoutTimeLimit(_ body: () throws(DatabaseError) -> Void) throws(DatabaseError) {
        try execute("SET statement_timeout = 0")
        hasTimeLimit = false
        defer { hasTimeLimit = true }
        do throws(DatabaseError) {
            try body()
        } catch {
            if isUsable { try execute("SET statement_timeout = \(options.statementTimeoutMilliseconds)") }
            throw error
        }
        try execute("SET statement_timeout = \(options.statementTimeoutMilliseconds)")
    }
}
