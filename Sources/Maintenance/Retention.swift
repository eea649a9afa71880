// Dropping old rows: whole chunks or partitions, as old as their newest possible row. TimescaleDB's Community edition does it by
// a job of its own; elsewhere one collector does, and on all of them an operator may.
//
// Locks: a dropped partition takes its table's exclusive lock for the moment of the drop, and so waits for the COPYs in progress;
// whoever comes meanwhile waits behind it, `lockTimeout` at most. DETACH ... CONCURRENTLY is not possible beside a default
// partition. A few at a time go in a transaction, so that years of chunks do not exhaust the server's table of locks.

import MetricKinds
import Postgres
import StoreSchema

/// A chunk or partition whose rows are all older than asked for, or the rows of a table that have neither.
public struct ExpiredRows: Equatable, Sendable {
    public let table: String
    /// The chunk's or partition's own name; the table's for single rows.
    public let name: String
    /// Its range, as text in UTC; nil for single rows.
    public let from: String?
    public let to: String?
    public let rows: Int64
    public let accuracy: Accuracy
    /// With indexes; nil for single rows, whose space is reused and not given back.
    public let bytes: Int64?

    /// How good the number of rows is.
    public enum Accuracy: String, Equatable, Sendable {
        case exact
        /// From the server's statistics and the present size.
        case estimate
        /// Counted up to `Retention.rowsCountedMax`.
        case atLeast = "at_least"
    }

    /// Single rows, which are deleted.
    public var isRows: Bool { to == nil }
}

/// Finds and drops rows by their age. Used by one thread, outside of transactions.
public struct Retention {
    public static let rowsCountedMax: Int64 = 1_000_000
    private static let rangesAtOnce = 10
    private static let rowsAtOnce = 20_000
    private static let estimatedPagesMin = 100

    private let connection: DatabaseConnection
    private let report: SchemaReport

    /// - Parameter report: the state of the schema now.
    public init(_ connection: DatabaseConnection, _ report: SchemaReport) {
        self.connection = connection
        self.report = report
    }

    /// The earlier of this machine's time and the server's: a clock that has jumped ahead must not drop what is young. In
    /// microseconds since the Unix epoch.
    public func now(_ local: Int64, _ report: inout HousekeepingReport) throws(DatabaseError) -> Int64 {
        let (now, warning) = try DatabaseClock.earlier(of: local, connection)
        if let warning { report.warnings.append("\(warning): old rows are dropped by the earlier of them") }
        return now
    }

    /// What of a table is older than a time, oldest first. Changes nothing. O(chunks), and O(rows) of those without a chunk or
    /// partition.
    ///
    /// - Parameter cutoff: microseconds since the Unix epoch. A range that ends there or before has no younger row.
    public func expired(_ kind: MetricKind, before cutoff: Int64) throws(DatabaseError) -> [ExpiredRows] {
        let table = SchemaSQL.table(kind)
        switch report.tables.first(where: { $0.name == table })?.layout {
        case .hypertable: return try chunks(kind, before: cutoff)
        case .partitioned:
            let ranges = try partitions(kind, before: cutoff)
            guard let found = report.tables.first(where: { $0.name == table })?.defaultPartition else { return ranges }
            return try ranges + rows(table, found, cutoff)
        case .ordinary: return try rows(table, table, cutoff)
        case .missing, .occupied, nil: return []
        }
    }

    private static let time = DatabaseClock.time("$1")

    private func chunks(_ kind: MetricKind, before cutoff: Int64) throws(DatabaseError) -> [ExpiredRows] {
        let rows = try connection.query(
            """
            SELECT format('%I.%I', c.chunk_schema, c.chunk_name), c.range_start, c.range_end, \(Self.estimate("r")),
                pg_catalog.pg_total_relation_size(r.oid)
            FROM timescaledb_information.chunks c
            JOIN pg_catalog.pg_namespace n ON n.nspname = c.chunk_schema
            JOIN pg_catalog.pg_class r ON r.relnamespace = n.oid AND r.relname = c.chunk_name
            WHERE c.hypertable_schema = '\(MetricKind.schemaName)' AND c.hypertable_name = '\(kind.tableName)'
                AND c.range_end <= \(Self.time)
            ORDER BY c.range_end
            """, [String(cutoff)], operation: "looking for old chunks of \(SchemaSQL.table(kind))")
        return try rows.map { (row) throws(DatabaseError) in try range(kind, row) }
    }

    private func partitions(_ kind: MetricKind, before cutoff: Int64) throws(DatabaseError) -> [ExpiredRows] {
        let rows = try connection.query(
            """
            SELECT name, lower, upper, rows, bytes FROM (
                SELECT format('%I.%I', n.nspname, c.relname) AS name, \(Self.estimate("c")) AS rows,
                    pg_catalog.pg_total_relation_size(c.oid) AS bytes,
                    (regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid),
                        'FROM \\(''([^'']+)''\\) TO'))[1]::timestamptz AS lower,
                    (regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid),
                        ' TO \\(''([^'']+)''\\)'))[1]::timestamptz AS upper
                FROM pg_catalog.pg_inherits i
                JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE i.inhparent = '\(SchemaSQL.table(kind))'::regclass AND c.relispartition
            ) partitions
            WHERE upper <= \(Self.time) ORDER BY upper
            """, [String(cutoff)], operation: "looking for old partitions of \(SchemaSQL.table(kind))")
        return try rows.map { (row) throws(DatabaseError) in try range(kind, row) }
    }

    /// The rows of a `pg_class` row by its density at the last ANALYZE and its size now; NULL where it was never analysed, or was
    /// small then: a few rows say nothing of the others, and are counted.
    private static func estimate(_ name: String) -> String {
        """
        CASE WHEN \(name).reltuples > 0 AND \(name).relpages >= \(estimatedPagesMin) THEN (\(name).reltuples / \(name).relpages
            * (pg_catalog.pg_relation_size(\(name).oid) / pg_catalog.current_setting('block_size')::bigint))::bigint END
        """
    }

    private func range(_ kind: MetricKind, _ row: [String?]) throws(DatabaseError) -> ExpiredRows {
        let name = row[0] ?? ""
        var rows = (row[3].flatMap { Int64($0) } ?? 0, ExpiredRows.Accuracy.estimate)
        if row[3] == nil { rows = try count("SELECT FROM \(name)", []) }
        return ExpiredRows(
            table: SchemaSQL.table(kind), name: name, from: row[1], to: row[2], rows: rows.0, accuracy: rows.1,
            bytes: row[4].flatMap { Int64($0) })
    }

    /// Counts up to `rowsCountedMax`.
    private func count(
        _ query: String, _ parameters: [String?]
    ) throws(DatabaseError) -> (Int64, ExpiredRows.Accuracy) {
        let found = try connection.query(
            "SELECT count(*) FROM (\(query) LIMIT \(Self.rowsCountedMax + 1)) few", parameters,
            operation: "counting old rows")
        let count = found.first?[0].flatMap { Int64($0) } ?? 0
        return count > Self.rowsCountedMax ? (Self.rowsCountedMax, .atLeast) : (count, .exact)
    }

    private func rows(_ table: String, _ name: String, _ cutoff: Int64) throws(DatabaseError) -> [ExpiredRows] {
        let (count, accuracy) = try count("SELECT FROM ONLY \(name) WHERE time < \(Self.time)", [String(cutoff)])
        let rows = ExpiredRows(
            table: table, name: name, from: nil, to: nil, rows: count, accuracy: accuracy, bytes: nil)
        return count == 0 ? [] : [rows]
    }

    /// Drops what `expired` found, oldest first.
    ///
    /// - Parameters:
    ///   - isWanted: asked again before each step.
    ///   - done: called behind each commit with what is gone by it.
    /// - Throws: at the first that cannot be dropped, for example with 55P03 when its lock was not to be had in time; what
    ///   was dropped before stays so.
    public func drop(
        _ kind: MetricKind, _ expired: [ExpiredRows], before cutoff: Int64,
        while isWanted: () throws(DatabaseError) -> Bool = { () throws(DatabaseError) in true },
        done: ([ExpiredRows]) -> Void = { _ in }
    ) throws(DatabaseError) {
        let isHypertable = report.tables.contains { $0.name == SchemaSQL.table(kind) && $0.layout == .hypertable }
        let ranges = expired.filter { !$0.isRows }
        for start in stride(from: 0, to: ranges.count, by: Self.rangesAtOnce) {
            let group = Array(ranges[start..<min(start + Self.rangesAtOnce, ranges.count)])
            let isDropped = try connection.inTransaction { () throws(DatabaseError) -> Bool in
                try connection.execute("SET LOCAL lock_timeout = '\(SchemaManager.aheadLockTimeout)'")
                // Two who drop at once take turns; the second one finds them gone, and says so.
                try connection.execute("SELECT pg_advisory_xact_lock(\(SchemaSQL.advisoryLock))")
                guard try isWanted() else { return false }
                if isHypertable {
                    try dropChunks(kind, group)
                } else {
                    // Another one may have dropped some of them meanwhile, or an operator may have detached them.
                    let attached = try TablePartitions.read(connection)[kind]?.partitions.map(\.name) ?? []
                    for partition in group where attached.contains(partition.name) {
                        try connection.execute(
                            "ALTER TABLE \(SchemaSQL.table(kind)) DETACH PARTITION \(partition.name)")
                        try connection.execute("DROP TABLE \(partition.name)")
                    }
                }
                try MaintenanceLog(connection).add(
                    "drop", SchemaSQL.table(kind),
                    "\(group[0].from ?? "") to \(group[group.count - 1].to ?? ""), "
                        + "\(group.count) \(isHypertable ? "chunks" : "partitions"), "
                        + "about \(group.reduce(0) { $0 + $1.rows }) rows")
                return true
            }
            guard isDropped else { return }
            done(group)
        }
        for rows in expired where rows.isRows {
            var deleted: Int64 = 0
            var last = 1
            while last > 0, try isWanted() {
                last = try deleteRows(rows.name, before: cutoff)
                deleted += Int64(last)
            }
            try MaintenanceLog(connection).add("delete", rows.name, "\(deleted) rows without a chunk or partition")
            done([
                ExpiredRows(
                    table: rows.table, name: rows.name, from: nil, to: nil, rows: deleted, accuracy: .exact,
                    bytes: nil)
            ])
        }
    }

    /// Through the library, so that its catalog follows. It may find other chunks that old by now, which are due as well.
    private func dropChunks(_ kind: MetricKind, _ chunks: [ExpiredRows]) throws(DatabaseError) {
        let prefix = HypertableFunctions(report.server).prefix
        try connection.query(
            "SELECT \(prefix)drop_chunks('\(SchemaSQL.table(kind))'::regclass, older_than => $1::timestamptz)",
            [chunks[chunks.count - 1].to], operation: "dropping chunks of \(SchemaSQL.table(kind))")
    }

    private func deleteRows(_ name: String, before cutoff: Int64) throws(DatabaseError) -> Int {
        let rows = try connection.query(
            """
            WITH gone AS (
                DELETE FROM ONLY \(name) WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM ONLY \(name) WHERE time < \(Self.time) LIMIT \(Self.rowsAtOnce)))
                RETURNING 1
            )
            SELECT count(*) FROM gone
            """, [String(cutoff)], operation: "deleting old rows of \(name)")
        return rows.first?[0].flatMap { Int($0) } ?? 0
    }
}
