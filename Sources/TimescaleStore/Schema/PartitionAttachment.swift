// A day's native partition for a table in use. The rows of that day may be in the default partition already, where late
// schema changes send them, and there may be millions of them.
//
// Limits: no lock that a COPY needs is held while more than `movedRowsMax` rows are moved or `scannedBytesMax` are read; waiting
// for one ends after `SchemaManager.aheadLockTimeout`. What reads more has no limit of time and takes no such lock.
//
// Attaching reads the whole default partition under its exclusive lock, unless a valid constraint says that it has no row of
// the new range. So, where the default partition is large, that constraint is made and validated first, beside COPYs. Until the
// partition is there, a row of the range is refused by it, and the batch is tried again (`DatabaseError.isAboutRows`). The range
// begins late enough that no such row is expected before: `leadSeconds` is twice what the work takes, and limits it. The
// constraint of a process that ended meanwhile is removed by `UnfinishedPartitions`.

import MetricKinds

/// Makes one partition. Used by one thread, outside of transactions, by the holder of `Leadership.partitions`.
struct PartitionAttachment {
    static let constraintName = "spillway_partition_begins"
    private static let movedRowsMax = 10_000
    private static let scannedBytesMax: Int64 = 67_108_864
    /// How far in the future a range begins whose rows may be refused for a moment, at least.
    private static let leadSecondsMin: Int64 = 600
    /// A slow disk's pace of validating.
    private static let validatedBytesPerSecond: Int64 = 10 << 20
    /// For a lock of the default partition while rows of the range may come: what waits for it holds up COPYs.
    static let shortLockTimeout = "100ms"

    let connection: DatabaseConnection
    let kind: MetricKind
    let day: UTCDay
    let nowMicroseconds: Int64
    /// The table's default partition; nil where it has none.
    let fallback: String?

    /// - Returns: how far in the future the range has to begin, where the default partition is too large to be read under a lock.
    func leadSeconds() throws(DatabaseError) -> Int64? {
        guard let fallback else { return nil }
        let rows = try connection.query(
            "SELECT pg_catalog.pg_relation_size('\(fallback)'::regclass)", operation: "measuring \(fallback)")
        let bytes = rows.first?[0].flatMap { Int64($0) } ?? 0
        return bytes > Self.scannedBytesMax ? max(Self.leadSecondsMin, 2 * bytes / Self.validatedBytesPerSecond) : nil
    }

    /// The first full hour of the day from which on few rows are in the default partition, or none where it is large.
    ///
    /// - Returns: as PostgreSQL reads it; nil when every hour has rows.
    func firstHour(leadSeconds: Int64?) throws(DatabaseError) -> String? {
        guard let fallback else { return day.timestamp }
        let limit = leadSeconds == nil ? Self.movedRowsMax : 0
        let lead =
            leadSeconds.map { "\(DatabaseClock.time("$1")) + interval '\($0) seconds'" } ?? "'-infinity'::timestamptz"
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
        let name = try freeName()
        let statements =
            if let fallback {
                SchemaSQL.attachPartition(kind, day, as: name, from: begin, movingFrom: fallback)
            } else {
                SchemaSQL.attachEmptyPartition(kind, day, as: name, from: begin)
            }
        for statement in statements { try connection.execute(statement) }
    }

    /// The partition's usual name, or another one where an object that is no partition of this table has that.
    private func freeName() throws(DatabaseError) -> String {
        "\(MetricKind.schemaName).\(try TakenNames(connection).free(SchemaSQL.partitionName(kind, day)))"
    }

    /// Makes the constraint and proves it. Beside COPYs, except for the moment of making it.
    ///
    /// - Parameter leadSeconds: the proof may take half of it.
    func exclude(from begin: String, leadSeconds: Int64) throws(DatabaseError) {
        guard let fallback else { return }
        try connection.inTransaction { () throws(DatabaseError) in
            try connection.execute("SET LOCAL lock_timeout = '\(SchemaManager.aheadLockTimeout)'")
            try connection.execute(
                """
                ALTER TABLE \(fallback) ADD CONSTRAINT \(Self.constraintName)
                CHECK (time < '\(begin)' OR time >= '\(day.advanced(by: 1).timestamp)') NOT VALID
                """)
        }
        try connection.withTimeLimit(milliseconds: leadSeconds * 500) { () throws(DatabaseError) in
            try connection.execute("ALTER TABLE \(fallback) VALIDATE CONSTRAINT \(Self.constraintName)")
        }
    }

    /// In a transaction: makes the partition, of which the default one is known to have no row.
    func attachEmpty(from begin: String) throws(DatabaseError) {
        for statement in SchemaSQL.attachEmptyPartition(kind, day, as: try freeName(), from: begin) {
            try connection.execute(statement)
        }
        guard let fallback else { return }
        try connection.execute("ALTER TABLE \(fallback) DROP CONSTRAINT \(Self.constraintName)")
    }

    /// Removes the constraint of an attempt that failed, by this process or one that has ended.
    func dropConstraint() throws(DatabaseError) {
        if let fallback { try UnfinishedPartitions(connection).drop(fallback) }
    }
}

extension DatabaseConnection {
    /// Runs what may take hours and holds up no other session in a transaction of its own: the server alone ends it.
    func withTimeLimit(
        milliseconds: Int64, _ body: () throws(DatabaseError) -> Void
    ) throws(DatabaseError) {
        hasTimeLimit = false
        defer { hasTimeLimit = true }
        try inTransaction { () throws(DatabaseError) in
            try execute("SET LOCAL statement_timeout = \(milliseconds)")
            try body()
        }
    }
}
