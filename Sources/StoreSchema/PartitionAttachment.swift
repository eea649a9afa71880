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
import Postgres
import Text

/// Makes one partition. Used by one thread, outside of transactions, by the holder of `Leadership.partitions`.
package struct PartitionAttachment {
    package static let constraintName = "spillway_partition_begins"
    private static let movedRowsMax = 10_000
    private static let scannedBytesMax: Int64 = 67_108_864
    /// How far in the future a range begins whose rows may be refused for a moment, at least.
    private static let leadSecondsMin: Int64 = 600
    /// A slow disk's pace of validating.
    private static let validatedBytesPerSecond: Int64 = 10 << 20
    /// For a lock of the default partition while rows of the range may come: what waits for it holds up COPYs.
    package static let shortLockTimeout = "100ms"

    package let connection: DatabaseConnection
    package let kind: MetricKind
    package let day: UTCDay
    package let nowMicroseconds: Int64
    /// The table's default partition; nil where it has none.
    package let fallback: String?

    /// - Returns: how far in the future the range has to begin, where the default partition is too large to be read under a lock.
    package func leadSeconds() throws(DatabaseError) -> Int64? {
        guard let fallback else { return nil }
        let rows = try connection.query(
            "SELECT pg_catalog.pg_relation_size('\(fallback)'::regclass)", operation: "measuring \(fallback)")
        let bytes = rows.first?[0].flatMap { Int64($0) } ?? 0
        return bytes > Self.scannedBytesMax ? max(Self.leadSecondsMin, 2 * bytes / Self.validatedBytesPerSecond) : nil
    }

    /// Full hours of the day that follow each other, as PostgreSQL reads their begin and end.
    package struct Hours: Equatable {
        let begin: String
        let end: String
    }

    /// The longest time of the day of which few rows are in the default partition, or none where it is large. A stray row of
    /// the day costs its own hour and what lies before or behind it.
    ///
    /// - Returns: nil when every hour has rows.
    package func hours(leadSeconds: Int64?) throws(DatabaseError) -> Hours? {
        guard let fallback else { return Hours(begin: day.timestamp, end: day.advanced(by: 1).timestamp) }
        let limit = leadSeconds == nil ? Self.movedRowsMax : 0
        let lead =
            leadSeconds.map { "\(DatabaseClock.time("$1")) + interval '\($0) seconds'" } ?? "'-infinity'::timestamptz"
        let end = "'\(day.advanced(by: 1).timestamp)'::timestamptz"
        let rows = try connection.query(
            """
            SELECT hour, hour + interval '1 hour', few.count
            FROM generate_series('\(day.timestamp)'::timestamptz, \(end) - interval '1 hour', interval '1 hour') hour,
            LATERAL (SELECT count(*) FROM (
                SELECT FROM ONLY \(fallback) WHERE time >= hour AND time < hour + interval '1 hour' LIMIT \(limit + 1)) r) few
            WHERE hour >= \(lead) AND $1::bigint IS NOT NULL ORDER BY hour
            """, [String(nowMicroseconds)], operation: "reading the hours of \(fallback)")
        let hours = rows.map { (begin: $0[0] ?? "", end: $0[1] ?? "", rows: $0[2].flatMap { Int($0) } ?? limit + 1) }
        return Self.longestRun(of: hours.map(\.rows), holding: limit).map { run in
            Hours(begin: hours[run.lowerBound].begin, end: hours[run.upperBound - 1].end)
        }
    }

    /// The first of the longest runs whose sum is not above a limit; nil where every single one is. O(counts).
    package static func longestRun(of counts: [Int], holding limit: Int) -> Range<Int>? {
        var longest = 0..<0
        var (first, sum) = (0, 0)
        for (index, count) in counts.enumerated() {
            sum += count
            while sum > limit {
                sum -= counts[first]
                first += 1
            }
            if index + 1 - first > longest.count { longest = first..<index + 1 }
        }
        return longest.isEmpty ? nil : longest
    }

    /// In a transaction: makes the partition and moves the few rows that are of it.
    package func attachWithRows(_ hours: Hours) throws(DatabaseError) {
        let name = try freeName()
        let statements =
            if let fallback {
                SchemaSQL.attachPartition(kind, as: name, hours, movingFrom: fallback)
            } else {
                SchemaSQL.attachEmptyPartition(kind, as: name, hours)
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
    package func exclude(_ hours: Hours, leadSeconds: Int64) throws(DatabaseError) {
        guard let fallback else { return }
        try connection.inTransaction { () throws(DatabaseError) in
            try connection.execute("SET LOCAL lock_timeout = '\(SchemaManager.aheadLockTimeout)'")
            try connection.execute(
                """
                ALTER TABLE \(fallback) ADD CONSTRAINT \(Self.constraintName)
                CHECK (time < '\(hours.begin)' OR time >= '\(hours.end)') NOT VALID
                """)
        }
        try connection.withTimeLimit(milliseconds: leadSeconds * 500) { () throws(DatabaseError) in
            try connection.execute("ALTER TABLE \(fallback) VALIDATE CONSTRAINT \(Self.constraintName)")
        }
    }

    /// In a transaction: makes the partition, of which the default one is known to have no row.
    package func attachEmpty(_ hours: Hours) throws(DatabaseError) {
        for statement in SchemaSQL.attachEmptyPartition(kind, as: try freeName(), hours) {
            try connection.execute(statement)
        }
        guard let fallback else { return }
        try connection.execute("ALTER TABLE \(fallback) DROP CONSTRAINT \(Self.constraintName)")
    }

    /// Removes the constraint of an attempt that failed, by this process or one that has ended.
    package func dropConstraint() throws(DatabaseError) {
        if let fallback { try UnfinishedPartitions(connection).drop(fallback) }
    }
}

extension DatabaseConnection {
    /// Runs what may take hours and holds up no other session in a transaction of its own: the server alone ends it.
    package func withTimeLimit(
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
