import FrameCodec
import LinuxSystem
import MetricKinds
import TestSupport
import Testing

@testable import TimescaleStore

@Suite struct CompressionOrderTests {
    @Test func rowsOfASegmentStandTogetherAndTheNewestFirst() throws {
        var encoder = FrameEncoder()
        let models: [String?] = ["b", nil, "ab", "a", "b", "", "a", nil]
        for (index, model) in models.enumerated() {
            #expect(try encoder.append(RoutingRecord(time: Int64(index), queryID: "\(index)", modelSelected: model)))
        }
        let frame = try #require(encoder.finish(FrameIdentity()) { $0.withUnsafeBytes { Array($0) } })
        let decoded = DecodedBatch()
        frame.span.bytes.withUnsafeBytes { decoded.decode($0) }
        let (before, sorted) = decoded.rows.withRows(.routing) {
            (Array($0), CompressionOrder.sorted(.routing, $0, rowCount: models.count))
        }
        #expect(sorted.count == before.count)
        let times = sorted.withUnsafeBytes { bytes in
            RowIsolation.rowOffsets(bytes).dropLast().map { CopyRowWriter.time(ofRowAt: $0, in: bytes) }
        }
        // b, absent, ab, a, empty; each from the newest to the oldest.
        #expect(times == [4, 0, 7, 1, 2, 6, 3, 5])
        let rows = { (bytes: [UInt8]) in
            bytes.withUnsafeBytes { raw in
                let offsets = RowIsolation.rowOffsets(raw)
                return Set((0..<offsets.count - 1).map { Array(raw[offsets[$0]..<offsets[$0 + 1]]) })
            }
        }
        #expect(rows(sorted) == rows(before))
    }

    @Test func aThousandSegmentsAndAnyOrderOfTime() throws {
        var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        var random = SystemRandomNumberGenerator()
        var expected: [String: [Int64]] = [:]
        for _ in 0..<20_000 {
            let model = "model-\(UInt16.random(in: 0..<1_000, using: &random))"
            let time = Int64.random(in: 0..<1_000, using: &random)
            guard try encoder.append(RoutingRecord(time: time, queryID: "\(time)", modelSelected: model)) else { break }
            expected[model, default: []].append(time)
        }
        let frame = try #require(encoder.finish(FrameIdentity()) { $0.withUnsafeBytes { Array($0) } })
        let decoded = DecodedBatch()
        frame.span.bytes.withUnsafeBytes { decoded.decode($0) }
        let sorted = decoded.rows.withRows(.routing) {
            CompressionOrder.sorted(.routing, $0, rowCount: decoded.recordCount)
        }
        let field = try #require(MetricKind.routing.columnIndex(named: "model_selected")) + 1
        var rows: [(model: String, time: Int64)] = []
        sorted.withUnsafeBytes { bytes in
            RowIsolation.forEachRow(bytes, field: field) { row, value in
                rows.append(
                    (
                        value.map { String(decoding: bytes[$0], as: UTF8.self) } ?? "",
                        CopyRowWriter.time(ofRowAt: row.lowerBound, in: bytes)
                    ))
            }
        }
        var begun: Set<String> = []
        for (index, row) in rows.enumerated() where index == 0 || rows[index - 1].model != row.model {
            #expect(begun.insert(row.model).inserted, "a segment in two pieces")
        }
        #expect(rows.count == decoded.recordCount && decoded.recordCount > 1_000)
        for (model, times) in expected {
            #expect(rows.filter { $0.model == model }.map(\.time) == times.sorted(by: >), "\(model)")
        }
    }

    /// A table of TimescaleDB's Community edition, with today's chunk in the columnstore.
    private static func compressing(_ change: String = "") throws -> DatabaseConnection? {
        guard TestServers.communityURL != nil else {
            print("skipped: TIMESCALEDB_COMMUNITY_URL names no server")
            return nil
        }
        let location = try TestServers.database(.community)
        let server = try ServerIdentity.detect(DatabaseConnection(location))
        var options = ConnectionOptions(applicationName: "test")
        options.sessionSettings += server.directCompression
        let connection = try DatabaseConnection(location, options: options)
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
        try CompressionOrder.takeAsSorted(kind, connection)
        return try connection.query("SHOW timescaledb.enable_direct_compress_copy_sort_batches")[0][0]
    }

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
        #expect(try other.query("SHOW timescaledb.enable_direct_compress_copy_sort_batches") == [["on"]])
    }

    @Test(arguments: ["time DESC", "time ASC", "query_id, time DESC"])
    func questionsHaveTheOrderTheyAskForWhateverTheTableIsCompressedBy(_ order: String) throws {
        guard
            let connection = try Self.compressing(
                "ALTER TABLE metrics.routing_metrics SET (timescaledb.orderby = '\(order)')")
        else { return }
        let now = wallClockMicroseconds()
        var random = SystemRandomNumberGenerator()
        for sequence in 1...3 {
            let times = (0..<4_000).map { _ in now - Int64.random(in: 0..<1_000_000, using: &random) }
            let batch = try SampleBatch(sequence: Int64(sequence), times: times, kind: .routing)
            #expect(try batch.store(connection, sortsRows: true) == StoredBatch())
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
