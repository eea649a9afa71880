// What TimescaleDB knows of its own hypertables and jobs, through its public views and functions.

import MetricKinds
import Postgres

extension StoreQueries {
    /// Names with their schema.
    func hypertables() throws(DatabaseError) -> Set<String> {
        guard server.flavour.hasHypertables else { return [] }
        let rows = try reading { () throws(DatabaseError) in
            try connection.query(
                """
                SELECT hypertable_schema || '.' || hypertable_name FROM timescaledb_information.hypertables
                WHERE hypertable_schema = '\(MetricKind.schemaName)'
                """, operation: "listing the hypertables")
        }
        return Set(rows.compactMap { $0[0] })
    }

    /// Adds what the catalog of PostgreSQL does not tell: compressed chunks lie in tables that are no children of the
    /// hypertable. The Apache edition has none.
    func complete(hypertable listed: inout Listed, _ hidden: inout [String]) throws(DatabaseError) {
        listed.table.layout = .hypertable
        guard server.flavour == .timescaleCommunity, let schema = server.timescaleSchema else { return }
        let id = listed.id
        let rows = try allowed("compressed chunks of \(listed.table.name)", &hidden) { () throws(DatabaseError) in
            try connection.query(
                """
                SELECT s.table_bytes, s.index_bytes, s.toast_bytes, \(schema).approximate_row_count($1::oid::regclass),
                    c.number_compressed_chunks, c.before_compression_total_bytes, c.after_compression_total_bytes
                FROM \(schema).hypertable_detailed_size($1::oid::regclass) s
                LEFT JOIN \(schema).hypertable_compression_stats($1::oid::regclass) c ON true
                """, [id], operation: "asking for the size of \(listed.table.name)")
        }
        guard let row = rows?.first else { return }
        let numbers = row.map { $0.flatMap { Int64($0) } }
        listed.table.size = DatabaseOverview.Size(
            table: numbers[0] ?? 0, index: numbers[1] ?? 0, toast: numbers[2] ?? 0)
        // As it is without compression, the estimate of PostgreSQL may be newer.
        listed.table.rows = max(listed.table.rows, numbers[3] ?? 0)
        // TimescaleDB keeps what a chunk was before it was compressed. Of one that was empty then, and was filled by a COPY that
        // compresses, nobody knows.
        let isKnown = try !hasFilledChunks(id)
        listed.table.compression = DatabaseOverview.Compression(
            chunks: Int(numbers[4] ?? 0), beforeBytes: isKnown ? numbers[5] : nil,
            afterBytes: isKnown ? numbers[6] : nil)
    }

    /// Whether a hypertable has chunks that were compressed while they were empty. No public view says so; where the catalog is
    /// another one, or may not be read, it is taken that there are none.
    private func hasFilledChunks(_ id: String) throws(DatabaseError) -> Bool {
        do throws(DatabaseError) {
            let rows = try reading { () throws(DatabaseError) in
                try connection.query(
                    """
                    SELECT FROM pg_catalog.pg_inherits i
                    JOIN pg_catalog.pg_class k ON k.oid = i.inhrelid
                    JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace
                    JOIN _timescaledb_catalog.chunk c ON c.schema_name = n.nspname AND c.table_name = k.relname
                    JOIN _timescaledb_catalog.compression_chunk_size s ON s.chunk_id = c.id
                    WHERE i.inhparent = $1::oid AND s.numrows_pre_compression = 0 LIMIT 1
                    """, [id], operation: "looking for chunks that were filled by compressing")
            }
            return !rows.isEmpty
        } catch {
            guard case .server = error.kind, connection.isUsable else { throw error }
            return false
        }
    }

    /// Jobs by their id.
    func jobs(_ hidden: inout [String]) throws(DatabaseError) -> [DatabaseOverview.Job]? {
        let rows = try allowed("jobs", &hidden) { () throws(DatabaseError) in
            try connection.query(
                """
                SELECT j.job_id, j.application_name, j.hypertable_schema || '.' || j.hypertable_name,
                    extract(epoch FROM j.schedule_interval), j.scheduled, s.last_run_status,
                    CASE WHEN isfinite(s.last_run_started_at)
                        THEN \(SQLTime.microseconds("s.last_run_started_at")) END,
                    CASE WHEN isfinite(j.next_start) THEN \(SQLTime.microseconds("j.next_start")) END,
                    s.total_failures
                FROM timescaledb_information.jobs j
                LEFT JOIN timescaledb_information.job_stats s ON s.job_id = j.job_id
                ORDER BY j.job_id
                """, operation: "listing the jobs")
        }
        return rows?.compactMap { row in
            guard let id = row[0].flatMap({ Int64($0) }) else { return nil }
            return DatabaseOverview.Job(
                id: id, name: row[1] ?? "", table: row[2], intervalSeconds: row[3].flatMap { Double($0) },
                isScheduled: row[4] == "t", lastStatus: row[5], lastStart: row[6].flatMap { Int64($0) },
                nextStart: row[7].flatMap { Int64($0) }, failures: row[8].flatMap { Int64($0) } ?? 0)
        }
    }
}
