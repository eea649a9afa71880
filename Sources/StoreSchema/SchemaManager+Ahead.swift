// Native partitions and chunks before anybody needs them. A missing chunk is made by the first COPY that needs it,
// under a lock that every other COPY waits for until that transaction ends; a missing partition sends its rows to the
// default one.

import MetricKinds
import Postgres

/// What was made ahead.
public struct AheadReport: Equatable, Sendable {
    /// One line for each partition or chunk.
    public package(set) var created: [String] = []
    /// What could not be made this time, one line each. The rows get stored without it.
    public package(set) var warnings: [String] = []
}

extension SchemaManager {
    /// Waiting longer than this for a lock would hold up others that queue behind.
    package static let aheadLockTimeout = "1s"

    /// Makes the native partitions of today and the next days, or the chunks of today and tomorrow: to be called
    /// every hour or so, on a connection of its own. Costs one query when all is there.
    ///
    /// - Parameter compressesChunks: new chunks get their compressed part with them, which the first directly compressed COPY
    ///   would make under that lock as well.
    /// - Throws: only when the connection is gone; what cannot be made is in the report's warnings.
    public func ensurePartitionsAhead(
        days: Int = SchemaSQL.defaultDaysAhead, compressesChunks: Bool = false
    ) throws(DatabaseError) -> AheadReport {
        var report = AheadReport()
        do {
            try ensureNativePartitions(days: days, &report)
            try ensureChunks(compresses: compressesChunks, &report)
        } catch {
            // The next one would be refused as well, and each refusal is an error in the server's log.
            guard error.sqlstate == .insufficientPrivilege, connection.isUsable else { throw error }
            report.warnings.append(
                "this user may not make partitions and chunks ahead, and stores without: let the owner of the tables run "
                    + "'spillway schema apply' once a day")
        }
        return report
    }

    /// Removes the constraints of processes that ended while they made a partition: rows of its range are refused by them.
    ///
    /// - Returns: the tables that had one. Costs one query where there is none.
    public func removeUnfinishedPartitions() throws(DatabaseError) -> [String] {
        try UnfinishedPartitions(connection).drop()
    }

    private func ensureNativePartitions(days: Int, _ report: inout AheadReport) throws(DatabaseError) {
        var missing: [PartitionAttachment] = []
        let present = try TablePartitions.read(connection)
        for kind in SchemaSQL.kindsByTable {
            guard let partitions = present[kind] else { continue }
            for day in (0...max(0, days)).map({ today.advanced(by: $0) }) where !partitions.covers(day) {
                missing.append(
                    PartitionAttachment(
                        connection: connection, kind: kind, day: day, nowMicroseconds: now(),
                        fallback: partitions.defaultName))
            }
        }
        // Another collector makes them otherwise.
        guard !missing.isEmpty, try Leadership.partitions.isHeld(by: connection) else { return }
        do throws(DatabaseError) {
            for partition in missing { try make(partition, &report) }
        } catch {
            if connection.isUsable { try Leadership.partitions.stepDown(connection) }
            throw error
        }
        try Leadership.partitions.stepDown(connection)
    }

    private func make(_ partition: PartitionAttachment, _ report: inout AheadReport) throws(DatabaseError) {
        let name =
            "partition \(MetricKind.schemaName).\(SchemaSQL.partitionName(partition.kind, partition.day))"
        var hours: PartitionAttachment.Hours?
        var lead: Int64?
        var isFull = false
        var isBarred = false
        try mapToWarnings(name, &report) { () throws(DatabaseError) in
            try partition.dropConstraint()
            lead = try partition.leadSeconds()
            // Several transactions, under a lock that a pooler would give away between them.
            isBarred = lead != nil && connection.isPooled
            guard !isBarred else { return }
            hours = try partition.hours(leadSeconds: lead)
            isFull = hours == nil
        }
        if isBarred {
            report.warnings.append(
                "\(name) is not made: its default partition is large, which takes a connection without a pooler: let "
                    + "'spillway schema apply' run once a day on the server itself")
        }
        if isFull {
            report.warnings.append(
                "\(name) is not made: the default partition has rows in each hour of the day that is left; they are stored, "
                    + "and dropped by their age")
        }
        guard let hours else { return }
        guard let lead else {
            return try attempt(name, &report) { () throws(DatabaseError) in
                guard try isMissing(partition) else { return false }
                try partition.attachWithRows(hours)
                return true
            }
        }
        var isExcluded = false
        try mapToWarnings(name, &report) { () throws(DatabaseError) in
            try partition.exclude(hours, leadSeconds: lead)
            isExcluded = true
        }
        try attachOrRelease(partition, isExcluded ? hours : nil, name, &report)
    }

    /// Does not return before the partition is there or its constraint is gone: rows of the range would wait.
    /// A transaction that has read the table keeps both from happening for as long as it lasts.
    ///
    /// - Parameter hours: nil where the constraint is not proven.
    private func attachOrRelease(
        _ partition: PartitionAttachment, _ hours: PartitionAttachment.Hours?, _ name: String,
        _ report: inout AheadReport
    ) throws(DatabaseError) {
        let created = report.created.count
        for round in 1... {
            var failed = AheadReport()
            if let hours, round <= Self.attachRoundsMax {
                try attempt(
                    name, &report, lockTimeout: PartitionAttachment.shortLockTimeout, warnings: &failed.warnings
                ) {
                    () throws(DatabaseError) in
                    guard try isMissing(partition) else { return false }
                    try partition.attachEmpty(hours)
                    return true
                }
                if report.created.count > created { return }
            } else {
                try mapToWarnings(name, &failed.warnings) { () throws(DatabaseError) in try partition.dropConstraint() }
                if failed.warnings.isEmpty {
                    if hours != nil {
                        report.warnings.append("\(name) is not made: its table was never free for a moment")
                    }
                    return
                }
            }
            if round == Self.warnRound { report.warnings += failed.warnings }
            // Ends early when the connection's owner stops.
            try connection.query("SELECT pg_catalog.pg_sleep(1)", operation: "waiting for the lock of a partition")
        }
    }

    /// Another collector may have been faster.
    private func isMissing(_ partition: PartitionAttachment) throws(DatabaseError) -> Bool {
        try TablePartitions.read(connection)[partition.kind]?.covers(partition.day) == false
    }

    /// Rounds of a second. Then the partition is given up, and only the constraint has to go.
    private static let attachRoundsMax = 60
    private static let warnRound = 3

    private func ensureChunks(compresses: Bool, _ report: inout AheadReport) throws(DatabaseError) {
        let server = try ServerIdentity.detect(connection)
        guard server.flavour.hasHypertables else { return }
        let compresses = compresses && server.compressesDirectly
        // Chunks of a day and more begin with one; of shorter ones those of the next day.
        let rows = try connection.query(
            """
            SELECT h.hypertable_name, ahead.time FROM timescaledb_information.hypertables h
            JOIN timescaledb_information.dimensions d ON d.hypertable_schema = h.hypertable_schema
                AND d.hypertable_name = h.hypertable_name AND d.dimension_number = 1,
            LATERAL generate_series(
                CASE WHEN d.time_interval < interval '1 day' THEN date_trunc('hour', ('epoch'::timestamptz + $2::bigint * interval '1 microsecond'))
                    ELSE $1::timestamptz END,
                ('epoch'::timestamptz + $2::bigint * interval '1 microsecond') + interval '1 day', least(d.time_interval, interval '1 day')) ahead (time)
            WHERE h.hypertable_schema = '\(MetricKind.schemaName)' AND NOT EXISTS (
                SELECT FROM timescaledb_information.chunks c
                WHERE c.hypertable_schema = h.hypertable_schema AND c.hypertable_name = h.hypertable_name
                    AND c.range_start <= ahead.time AND c.range_end > ahead.time)
            ORDER BY 2, 1
            """, [today.timestamp, String(now())], operation: "listing the chunks")
        for row in rows {
            guard let time = row[1], let kind = MetricKind.allCases.first(where: { $0.tableName == row[0] }) else {
                continue
            }
            try attempt("chunk of \(SchemaSQL.table(kind)) for \(time)", &report) { () throws(DatabaseError) in
                try makeChunk(kind, time)
                if compresses { try compressChunk(kind, time, HypertableFunctions(server)) }
                return true
            }
        }
    }

    /// TimescaleDB has no public call for it: a row makes the chunk, and deleting the row leaves it. Nobody sees the
    /// row, since both happen in one transaction. A row's ctid is its own only within its chunk, hence the time.
    private func makeChunk(_ kind: MetricKind, _ time: String) throws(DatabaseError) {
        let table = SchemaSQL.table(kind)
        let rows = try connection.query("INSERT INTO \(table) (time) VALUES ($1) RETURNING ctid", [time])
        try connection.query(
            "DELETE FROM \(table) WHERE time = $1 AND ctid = $2", [time, rows.first?.first ?? nil])
    }

    /// Empty as it is. Of a table that is never compressed there is nothing to be made.
    private func compressChunk(
        _ kind: MetricKind, _ time: String, _ functions: HypertableFunctions
    ) throws(DatabaseError) {
        try connection.query(
            """
            SELECT \(functions.prefix)compress_chunk(format('%I.%I', c.chunk_schema, c.chunk_name)::regclass, true)
            FROM timescaledb_information.chunks c
            JOIN timescaledb_information.hypertables h ON h.hypertable_schema = c.hypertable_schema
                AND h.hypertable_name = c.hypertable_name AND h.compression_enabled
            WHERE c.hypertable_schema = '\(MetricKind.schemaName)' AND c.hypertable_name = '\(kind.tableName)'
                AND c.range_start <= $1::timestamptz AND c.range_end > $1::timestamptz
            """, [time], operation: "making the compressed part of a chunk of \(SchemaSQL.table(kind))")
    }

    private func attempt(
        _ what: String, _ report: inout AheadReport, _ body: () throws(DatabaseError) -> Bool
    ) throws(DatabaseError) {
        var warnings: [String] = []
        try attempt(what, &report, lockTimeout: Self.aheadLockTimeout, warnings: &warnings, body)
        report.warnings += warnings
    }

    private func attempt(
        _ what: String, _ report: inout AheadReport, lockTimeout: String, warnings: inout [String],
        _ body: () throws(DatabaseError) -> Bool
    ) throws(DatabaseError) {
        var isMade = false
        try mapToWarnings(what, &warnings) { () throws(DatabaseError) in
            isMade = try connection.inTransaction { () throws(DatabaseError) -> Bool in
                try connection.execute("SET LOCAL lock_timeout = '\(lockTimeout)'")
                // Two collectors that make the same thing take turns; the second finds it there at its next look.
                let rows = try connection.query("SELECT pg_try_advisory_xact_lock(\(SchemaSQL.advisoryLock))")
                guard rows.first?.first == "t" else { return false }
                return try body()
            }
        }
        if isMade { report.created.append(what) }
    }

    private func mapToWarnings(
        _ what: String, _ report: inout AheadReport, _ body: () throws(DatabaseError) -> Void
    ) throws(DatabaseError) { try mapToWarnings(what, &report.warnings, body) }

    private func mapToWarnings(
        _ what: String, _ warnings: inout [String], _ body: () throws(DatabaseError) -> Void
    ) throws(DatabaseError) {
        do throws(DatabaseError) {
            try body()
        } catch {
            // Another collector was faster.
            if error.sqlstate == .duplicateTable { return }
            guard case .server = error.kind, connection.isUsable, error.sqlstate != .insufficientPrivilege else {
                throw error
            }
            warnings.append("\(what) could not be made ahead: \(error)")
        }
    }
}
