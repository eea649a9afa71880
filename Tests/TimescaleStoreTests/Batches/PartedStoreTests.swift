// A batch over many days is stored, whatever the server's table of locks holds, and once.

import Delivery
import FrameCodec
import LinuxSystem
import MetricKinds
import TestSupport
import Testing

@testable import TimescaleStore

@Suite struct PartedStoreTests {
    private static func count(_ connection: DatabaseConnection, _ table: String) throws -> Int {
        Int(try connection.query("SELECT count(*) FROM \(table)")[0][0] ?? "") ?? -1
    }

    private static func made(_ flavour: TestFlavour) throws -> DatabaseConnection {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        return connection
    }

    @Test(arguments: TestFlavour.allCases) func tenThousandRecordsOver400DaysAreStoredOnce(_ flavour: TestFlavour)
        throws
    {
        let connection = try Self.made(flavour)
        let batch = try SampleBatch(sequence: 1, days: (0..<10_000).map { $0 % 400 }, kind: .routing)
        #expect(try batch.store(connection) == StoredBatch())
        #expect(try batch.store(connection) == StoredBatch(wasStoredBefore: true))
        #expect(try Self.count(connection, "metrics.routing_metrics") == 10_000)
        #expect(try Self.count(connection, "spillway.batches") == 1)
        #expect(try Self.count(connection, "spillway.batch_parts") == 0)
        let days = try connection.query("SELECT count(DISTINCT time::date) FROM metrics.routing_metrics")
        #expect(days == [["400"]])
        #expect(!connection.isInTransaction)
    }

    @Test func aServerWithFewLocksTakesThemAsWell() throws {
        // As PostgreSQL is delivered, with few connections: about 1,500 locks.
        let server = try TestServers.ownServer(.timescale)
        defer { server.stop() }
        let owner = try DatabaseConnection(server.location.with(database: "postgres"))
        for setting in ["max_locks_per_transaction = 64", "max_connections = 20", "max_worker_processes = 4"] {
            try owner.execute("ALTER SYSTEM SET \(setting)")
        }
        try TestServers.restart(server, immediate: false)
        let connection = try DatabaseConnection(server.location)
        try SchemaManager(connection).apply()
        // 63 tables and days pass for a usual batch.
        var frames: [UInt8] = []
        let now = wallClockMicroseconds()
        for kind in MetricKind.allCases {
            let times = (0..<700).map { now - Int64($0 % 7 + 100) * 86_400_000_000 }
            frames += try SampleBatch(sequence: 1, times: times, kind: kind).frames
        }
        let decoded = DecodedBatch()
        let stored = try frames.span.bytes.withUnsafeBytes { bytes in
            decoded.decode(bytes)
            let summary = BatchSummary(
                identity: BatchIdentity(epoch: 1, sequence: 1), recordCount: 6_300, frameCount: 9,
                byteCount: bytes.count, openedMicroseconds: 0, sessions: [])
            return try BatchWriter(connection, fence: CommitFence(key: 79)).store(
                summary, frames: bytes, decoded: decoded)
        }
        #expect(stored == StoredBatch())
        for kind in MetricKind.allCases { #expect(try Self.count(connection, SchemaSQL.table(kind)) == 700) }
        let many = try SampleBatch(sequence: 2, days: (0..<1_000).map { $0 * 2 }, kind: .rag)
        #expect(try many.store(connection) == StoredBatch())
        // A question over all of them has the same trouble: each chunk is asked by itself.
        var found = 0
        let chunks = try connection.query(
            """
            SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks
            WHERE hypertable_name = 'rag_metrics'
            """)
        for chunk in chunks { found += try Self.count(connection, chunk[0] ?? "") }
        #expect(found == 1_700)
    }

    @Test(arguments: TestFlavour.allCases) func whatWasStoredOfAnInterruptedAttemptIsPassedOver(_ flavour: TestFlavour)
        throws
    {
        let location = try TestServers.database(flavour)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        let batch = try SampleBatch(sequence: 1, days: (0..<900).map { $0 % 300 }, kind: .routing)
        // The attempt fails in the middle: a later part's rows meet an error that is not theirs.
        try connection.execute(
            """
            CREATE SEQUENCE parts;
            CREATE FUNCTION fail_third() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('parts') = 3 THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF;
                RETURN NULL;
            END $$;
            CREATE TRIGGER fail_third AFTER INSERT ON spillway.batch_parts
            FOR EACH STATEMENT EXECUTE FUNCTION fail_third()
            """)
        let error = try databaseError { () throws(DatabaseError) in
            do { _ = try batch.store(connection) } catch let error as DatabaseError { throw error } catch {
                Issue.record(error)
            }
        }
        #expect(error.sqlstate == .serializationFailure && error.isTransient && !connection.isInTransaction)
        let first = try Self.count(connection, "metrics.routing_metrics")
        #expect(first > 0 && first < 900)
        #expect(try Self.count(connection, "spillway.batch_parts") > 0)
        #expect(try Self.count(connection, "spillway.batches") == 0)
        #expect(try batch.store(connection) == StoredBatch())
        #expect(try Self.count(connection, "metrics.routing_metrics") == 900)
        #expect(try Self.count(connection, "spillway.batch_parts") == 0)
    }

    @Test(arguments: TestFlavour.allCases) func refusedRowsAmongManyDaysBecomeDeadLetters(_ flavour: TestFlavour) throws
    {
        let connection = try Self.made(flavour)
        try connection.execute(
            "ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%77')")
        let batch = try SampleBatch(sequence: 4, days: (0..<1_000).map { $0 % 200 }, kind: .routing)
        #expect(try batch.store(connection) == StoredBatch(deadLetters: [9: 10]))
        #expect(try Self.count(connection, "metrics.routing_metrics") == 990)
        #expect(try Self.count(connection, "spillway.dead_letters") == 10)
        #expect(try batch.store(connection) == StoredBatch(wasStoredBefore: true, deadLetters: [9: 10]))
        // Each letter has the record that was refused, and no other.
        var names: Set<String> = []
        try DeadLetterBox(connection).forEach(DeadLetterFilter()) { letter in
            var collector = RecordCollector()
            var decoder = FrameDecoder()
            try letter.frame.span.bytes.withUnsafeBytes { bytes in
                let header = try FrameHeader.admit(bytes.bytes)
                try decoder.decode(bytes.bytes, header: header, &collector)
            }
            #expect(collector.records.count == 1)
            if case .text(let name) = collector.records[0].values[0] { names.insert(name) }
        }
        #expect(names == Set((0..<10).map { "sample4-\($0 == 0 ? "" : "\($0)")77" }))
    }

    @Test(arguments: TestFlavour.allCases) func noPartIsStoredOfFramesThatSomebodyElseHas(_ flavour: TestFlavour) throws
    {
        let location = try TestServers.database(flavour)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        let now = wallClockMicroseconds()
        func batch(_ sequence: Int64, firstFrame: UInt64) throws -> SampleBatch {
            try SampleBatch(
                sequence: sequence, times: (0..<400).map { now - Int64($0) * 86_400_000_000 }, kind: .routing,
                firstFrame: firstFrame)
        }
        #expect(try batch(1, firstFrame: 1).store(connection) == StoredBatch())
        let error = try databaseError { () throws(DatabaseError) in
            do { _ = try batch(2, firstFrame: 1).store(connection) } catch let error as DatabaseError {
                throw error
            } catch {
                Issue.record(error)
            }
        }
        #expect(error.kind == .framesStoredBefore)
        #expect(try Self.count(connection, "metrics.routing_metrics") == 400)
        #expect(try Self.count(connection, "spillway.batch_parts") == 0)
        #expect(
            try connection.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
                == [["0"]])
        #expect(try batch(3, firstFrame: 1_000).store(connection) == StoredBatch())
        #expect(try Self.count(connection, "metrics.routing_metrics") == 800)
    }

    @Test(arguments: TestFlavour.allCases) func rowsAtTheEdgesOfTimeAreKept(_ flavour: TestFlavour) throws {
        let connection = try Self.made(flavour)
        // What a frame can say: from timestamptz's beginning on.
        let edges: [Int64] = [
            FrameLimits.timeRange.lowerBound, FrameLimits.timeRange.lowerBound + 1, -1, 0, 1, wallClockMicroseconds(),
            FrameLimits.timeRange.upperBound - 1,
            FrameLimits.timeRange.upperBound,
        ]
        let batch = try SampleBatch(sequence: 5, times: edges, kind: .routing)
        let stored = try batch.store(connection)
        let kept = try Self.count(connection, "metrics.routing_metrics")
        let letters = try Self.count(connection, "spillway.dead_letters")
        #expect(kept + letters == edges.count)
        #expect(stored.deadLetters.values.reduce(0, +) == letters)
        print("\(flavour): \(kept) rows at the edges of time stored, \(letters) dead letters")
        #expect(kept >= 5)
    }
}
