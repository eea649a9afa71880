// What the Community edition compresses while it comes in stands in the order of its columnstore. Run where
// TIMESCALEDB_COMMUNITY_URL names a server.

import Delivery
import LinuxSystem
import MetricKinds
import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreWriter
@testable import StoreQueries
@testable import Postgres

@Suite struct DirectCompressionTests {
    /// A table of TimescaleDB's Community edition, with today's chunk in the columnstore.
    private static func compressing(_ change: String = "") throws -> DatabaseConnection? {
        guard TestServers.communityURL != nil else {
            print("skipped: TIMESCALEDB_COMMUNITY_URL names no server")
            return nil
        }
        let connection = try DatabaseConnection(TestServers.database(.community))
        let manager = SchemaManager(connection)
        try manager.apply(daysAhead: 0)
        if !change.isEmpty { try connection.execute(change) }
        for kind in MetricKind.allCases {
            try connection.query(
                "SELECT drop_chunks($1::regclass, older_than => interval '-9 days')", [SchemaSQL.table(kind)])
        }
        _ = try manager.ensurePartitionsAhead(days: 0, compressesChunks: true)
        return connection
    }

    /// Whether the server sorts what comes into the kind's table.
    private static func serverSorts(_ kind: MetricKind, _ connection: DatabaseConnection) throws -> String? {
        try connection.execute("BEGIN")
        defer { try? connection.rollback() }
        try DirectCompression(connection).takeAsSorted(kind, connection)
        return try connection.query(sortsNow)[0][0]
    }

    private static let sortsNow = "SHOW timescaledb.enable_direct_compress_copy_sort_batches"

    @Test func theServerSortsOnlyWhereItsOrderIsAnother() throws {
        guard let connection = try Self.compressing() else { return }
        for kind in MetricKind.allCases { #expect(try Self.serverSorts(kind, connection) == "off", "\(kind)") }
        let changes: [(MetricKind, String)] = [
            (.routing, "timescaledb.orderby = 'time ASC'"), (.memory, "timescaledb.orderby = 'time DESC, tags'"),
            (.rag, "timescaledb.segmentby = ''"), (.execution, "timescaledb.segmentby = 'language, tags'"),
        ]
        for (kind, change) in changes {
            // Those are for the table's next chunks; the one that is there keeps its own.
            try connection.execute("ALTER TABLE \(SchemaSQL.table(kind)) SET (\(change))")
            #expect(try Self.serverSorts(kind, connection) == "on", "\(kind), \(change)")
        }
        // And the other way round: the table is as it was, the chunk is not.
        let other = try #require(
            try Self.compressing("ALTER TABLE metrics.routing_metrics SET (timescaledb.orderby = 'time ASC')"))
        try other.execute("ALTER TABLE metrics.routing_metrics SET (timescaledb.orderby = 'time DESC')")
        #expect(try Self.serverSorts(.routing, other) == "on")
        #expect(try Self.serverSorts(.memory, other) == "off")
        #expect(try other.query(Self.sortsNow) == [["on"]])
    }

    /// `ALTER TABLE ... RESET` takes no lock that waits for ours.
    @Test func anOrderThatChangesUnderTheRowsGivesTheTransactionUp() throws {
        guard let connection = try Self.compressing() else { return }
        let other = try DatabaseConnection(connection.location)
        let compression = try DirectCompression(connection)
        func attempt(_ meanwhile: String) throws {
            try connection.execute("BEGIN")
            defer { try? connection.rollback() }
            try compression.takeAsSorted(.routing, connection)
            try other.execute(meanwhile)
            try connection.execute("INSERT INTO metrics.routing_metrics (time) VALUES (now() - interval '40 days')")
            try compression.checkThatTheyWereTaken(.routing, connection)
        }
        try attempt("SELECT 1")
        let error = try databaseError { () throws(DatabaseError) in
            do { try attempt("ALTER TABLE metrics.routing_metrics RESET (timescaledb.segmentby)") } catch let error
                as DatabaseError
            { throw error } catch { Issue.record(error) }
        }
        #expect(error.sqlstate == .serializationFailure && error.isTransient)
        // The next attempt lets the server sort.
        #expect(try Self.serverSorts(.routing, connection) == "on")
        let batch = try SampleBatch(sequence: 1, days: Array(repeating: 0, count: 100), kind: .routing)
        #expect(try batch.store(connection, compression: compression) == StoredBatch())
    }

    /// A table of somebody else's that the collector has nothing to do with, and may not even see.
    @Test func theCollectorsRoleCompressesBesideTheHypertablesOfOthers() throws {
        guard let owner = try Self.compressing() else { return }
        let role = "collector_\(owner.location.database ?? "")"
        try owner.execute("CREATE ROLE \(role) LOGIN")
        let script = try SchemaGrants(collector: role, readers: []).script
        try owner.execute(script.split(separator: "\n").filter { !$0.hasPrefix("\\") }.joined(separator: "\n"))
        try owner.execute(
            """
            CREATE SCHEMA others;
            CREATE TABLE others.secrets (time timestamptz NOT NULL, value integer);
            SELECT create_hypertable('others.secrets', 'time');
            ALTER TABLE others.secrets SET (timescaledb.compress = true);
            INSERT INTO others.secrets VALUES (now(), 1)
            """)
        let connection = try DatabaseConnection(owner.location.with(user: role))
        let compression = try DirectCompression(connection)
        for kind in MetricKind.allCases {
            let batch = try SampleBatch(
                sequence: Int64(kind.rawValue), days: Array(repeating: 0, count: 2_000), kind: kind)
            #expect(try batch.store(connection, compression: compression) == StoredBatch(), "\(kind)")
            #expect(try Self.serverSorts(kind, connection) == "off", "\(kind)")
        }
        #expect(try owner.query("SELECT count(*) FROM metrics.routing_metrics") == [["2000"]])
    }

    /// TimescaleDB's own figures are of the empty chunk.
    @Test func noRatioIsToldOfChunksThatWereFilledCompressed() throws {
        guard let connection = try Self.compressing() else { return }
        let batch = try SampleBatch(sequence: 1, days: Array(repeating: 0, count: 3_000), kind: .routing)
        #expect(try batch.store(connection, compression: DirectCompression(connection)) == StoredBatch())
        let overview = try StoreQueries(connection).overview(countsRows: true)
        let table = try #require(overview.kinds.first { $0.name == "metrics.routing_metrics" })
        let compression = try #require(table.compression)
        #expect(table.rows == 3_000 && compression.chunks > 0 && compression.ratio == nil)
    }

    @Test func whatAnOperatorChoseForTOASTIsKept() throws {
        guard let connection = try Self.compressing() else { return }
        _ = try DirectCompression(connection)
        #expect(try connection.query("SHOW default_toast_compression") == [["lz4"]])
        try connection.execute(
            "ALTER DATABASE \(connection.location.database ?? "") SET default_toast_compression = pglz")
        let other = try DatabaseConnection(connection.location)
        _ = try DirectCompression(other)
        #expect(try other.query("SHOW default_toast_compression") == [["pglz"]])
        #expect(try other.query(Self.sortsNow) == [["on"]])
    }

    @Test(arguments: ["time DESC", "time ASC", "query_id, time DESC"])
    func questionsHaveTheOrderTheyAskForWhateverTheTableIsCompressedBy(_ order: String) throws {
        guard
            let connection = try Self.compressing(
                "ALTER TABLE metrics.routing_metrics SET (timescaledb.orderby = '\(order)')")
        else { return }
        let compression = try DirectCompression(connection)
        let now = wallClockMicroseconds()
        var random = SystemRandomNumberGenerator()
        for sequence in 1...3 {
            let times = (0..<4_000).map { _ in now - Int64.random(in: 0..<1_000_000, using: &random) }
            let batch = try SampleBatch(sequence: Int64(sequence), times: times, kind: .routing)
            #expect(try batch.store(connection, compression: compression) == StoredBatch())
        }
        let chunks = try connection.query(
            "SELECT bool_and(is_compressed) FROM timescaledb_information.chunks WHERE hypertable_name = 'routing_metrics'"
        )
        #expect(chunks == [["t"]])
        for direction in ["ASC", "DESC"] {
            let rows = try connection.query(
                "SELECT (extract(epoch FROM time) * 1e6)::bigint FROM metrics.routing_metrics ORDER BY time \(direction)"
            )
            let times = rows.compactMap { $0[0].flatMap { Int64($0) } }
            #expect(times.count == 12_000)
            let isInOrder = times == times.sorted { direction == "ASC" ? $0 < $1 : $0 > $1 }
            #expect(isInOrder, "\(direction)")
            let first = try connection.query(
                "SELECT (extract(epoch FROM time) * 1e6)::bigint FROM metrics.routing_metrics ORDER BY time \(direction) LIMIT 1"
            )
            #expect(first == [rows[0]])
        }
    }
}
