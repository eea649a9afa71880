// A batch over many days is stored, whatever the server's table of locks holds, and once.

import Delivery
import FrameCodec
import Glibc
import LinuxSystem
import MetricKinds
import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreWriter
@testable import Maintenance
@testable import Postgres

@Suite struct PartedStoreTests {
    private static func count(_ connection: DatabaseConnection, _ table: String) throws -> Int {
        Int(try connection.query("SELECT count(*) FROM \(table)")[0][0] ?? "") ?? -1
    }

    private static func made(_ flavour: TestFlavour) throws -> DatabaseConnection {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        return connection
    }

    /// An attempt fails in the middle, once: a part meets an error that is not its rows'.
    private static func failAtPart(_ number: Int, _ connection: DatabaseConnection) throws {
        try connection.execute(
            """
            CREATE SEQUENCE parts;
            CREATE FUNCTION fail_at_part() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('parts') = \(number) THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF;
                RETURN NULL;
            END $$;
            CREATE TRIGGER fail_at_part AFTER INSERT ON spillway.batch_parts
            FOR EACH STATEMENT EXECUTE FUNCTION fail_at_part()
            """)
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
        try Self.failAtPart(3, connection)
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

    /// A session of ours that was half dead has stored a frame behind the moment when we looked for it.
    @Test(arguments: TestFlavour.allCases) func aFrameThatWasStoredMeanwhileIsPassedOverAndItsPartGoesIn(
        _ flavour: TestFlavour
    ) throws {
        let location = try TestServers.database(flavour)
        let other = try DatabaseConnection(location)
        try SchemaManager(other).apply()
        // Frames of about two days each, some thirty to a part.
        let batch = try SampleBatch(sequence: 1, days: (0..<4_000).map { $0 / 20 }, kind: .routing)
        // The first part stands still until we let it go.
        try other.execute(
            """
            CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF current_setting('application_name') = 'slow' THEN PERFORM pg_advisory_xact_lock(4711); END IF;
                RETURN NULL;
            END $$;
            CREATE TRIGGER stand_still AFTER INSERT ON spillway.batch_parts
            FOR EACH STATEMENT EXECUTE FUNCTION stand_still();
            SELECT pg_advisory_lock(4711)
            """)
        let outcome = Collected()
        let slow = try NamedThread(name: "slow") {
            do {
                let connection = try DatabaseConnection(location, options: ConnectionOptions(applicationName: "slow"))
                outcome.append("\(try batch.store(connection) == StoredBatch())")
            } catch {
                outcome.append("\(error)")
            }
        }
        let deadline = monotonicNanoseconds() + 20_000_000_000
        while try other.query(
            """
            SELECT FROM pg_locks WHERE objid = 4711 AND NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """
        ).isEmpty {
            try #require(monotonicNanoseconds() < deadline, "the first part never came")
            usleep(10_000)
        }
        // The last frame but one, which is in the last part, among others.
        let frame = batch.summary.frameCount - 2
        try other.execute(
            """
            BEGIN;
            INSERT INTO spillway.batch_parts (epoch, sequence, frame)
            VALUES (\(batch.summary.identity.epoch), \(batch.summary.identity.sequence), \(frame));
            INSERT INTO metrics.routing_metrics (time, query_id) VALUES (now(), 'the other''s');
            COMMIT;
            SELECT pg_advisory_unlock(4711)
            """)
        slow.join()
        #expect(outcome.all == ["true"])
        let missing = try batch.recordCount(ofFrame: frame)
        #expect(missing > 0)
        let names = try other.query("SELECT count(DISTINCT query_id), count(*) FROM metrics.routing_metrics")
        #expect(names == [["\(4_000 - missing + 1)", "\(4_000 - missing + 1)"]])
        #expect(try Self.count(other, "spillway.batches") == 1)
        #expect(try Self.count(other, "spillway.batch_parts") == 0)
    }

    /// A lane whose connection was lost tries again while the server still works for the lost one.
    @Test(arguments: TestFlavour.allCases) func wholeAndInPartsAtTheSameTimeIsStoredOnce(_ flavour: TestFlavour) throws
    {
        let location = try TestServers.database(flavour)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        let rounds = 20
        let done = Collected()
        for round in 1...rounds {
            let batch = try SampleBatch(sequence: Int64(round), days: (0..<400).map { $0 / 40 }, kind: .routing)
            let threads = try (0..<4).map { index in
                try NamedThread(name: "attempt-\(index)") {
                    do {
                        let connection = try DatabaseConnection(location)
                        // Attempts meet in other ways when they do not begin together.
                        usleep(UInt32((round * 7 + index * 3) % 10) * 1_000)
                        if index % 2 == 0 {
                            if try !batch.store(connection).wasStoredBefore { done.append("whole") }
                        } else if try batch.storeInParts(connection, chunksMax: 2) {
                            done.append("parts")
                        }
                    } catch let error as DatabaseError where error.sqlstate == .uniqueViolation {
                        // The batch's own row: what `BatchWriter.store` takes for stored before.
                        #expect(error.operation == LedgerEntry.operation)
                    } catch {
                        Issue.record(error)
                    }
                }
            }
            for thread in threads { thread.join() }
            let rows = try connection.query(
                "SELECT count(*), count(DISTINCT query_id) FROM metrics.routing_metrics WHERE query_id LIKE $1",
                ["sample\(round)-%"])
            #expect(rows == [["400", "400"]], "round \(round)")
        }
        #expect(done.all.count >= rounds)
        #expect(try Self.count(connection, "spillway.batches") == rounds)
        #expect(try Self.count(connection, "spillway.batch_parts") == 0)
    }

    @Test(arguments: TestFlavour.allCases) func whatWasBegunInPartsIsFinishedInParts(_ flavour: TestFlavour) throws {
        let connection = try Self.made(flavour)
        let batch = try SampleBatch(sequence: 1, days: (0..<400).map { $0 / 40 }, kind: .routing)
        try Self.failAtPart(3, connection)
        #expect(throws: DatabaseError.self) { try batch.storeInParts(connection, chunksMax: 2) }
        let first = try Self.count(connection, "metrics.routing_metrics")
        #expect(first > 0 && first < 400)
        // Its days are few, so that it would go in one piece.
        #expect(try batch.store(connection) == StoredBatch())
        #expect(try Self.count(connection, "metrics.routing_metrics") == 400)
        #expect(try Self.count(connection, "spillway.batch_parts") == 0)
        #expect(try Self.count(connection, "spillway.batches") == 1)
    }

    @Test(arguments: TestFlavour.allCases) func malformedFramesOfPartsThatWereStoredLiveAreKeptWhenReplayed(
        _ flavour: TestFlavour
    ) throws {
        let connection = try Self.made(flavour)
        let now = wallClockMicroseconds()
        let times = (0..<4_000).map { now - Int64($0 / 20) * 86_400_000_000 }
        var batch = try SampleBatch(sequence: 1, times: times, kind: .routing, firstFrame: 1)
        let lost = try batch.recordCount(ofFrame: 1)
        try batch.makeMalformed(frame: 1)
        try Self.failAtPart(3, connection)
        // Live: whoever sent the frame is told, and nothing is kept. The part with it is stored, a later one fails.
        #expect(throws: DatabaseError.self) { try batch.store(connection) }
        #expect(try Self.count(connection, "spillway.batch_parts") > 2)
        #expect(try Self.count(connection, "spillway.dead_letters") == 0)
        // From the spill, where it was acknowledged with the others. The parts that are stored are its own.
        let known = try SessionLedger(connection).storedFrames(among: batch.summary.sessions)
        let parts = try Self.count(connection, "metrics.routing_metrics")
        #expect(
            try batch.store(connection, keepsMalformed: true, without: known)
                == StoredBatch(deadLetters: [9: lost], ownRecords: [9: parts]))
        #expect(try Self.count(connection, "metrics.routing_metrics") == 4_000 - lost)
        #expect(
            try batch.store(connection, keepsMalformed: true)
                == StoredBatch(wasStoredBefore: true, deadLetters: [9: lost]))
        let letters = try connection.query("SELECT count(*), sum(records) FROM spillway.dead_letters")
        #expect(letters == [["1", "\(lost)"]])
    }

    /// The frames that its own parts have stored are not frames that somebody sent again.
    @Test(arguments: TestFlavour.allCases) func theRecordsOfAnInterruptedBatchAreItsOwn(_ flavour: TestFlavour) throws {
        let connection = try Self.made(flavour)
        let now = wallClockMicroseconds()
        let times = (0..<900).map { now - Int64($0 % 300) * 86_400_000_000 }
        let batch = try SampleBatch(sequence: 1, times: times, kind: .routing, firstFrame: 1)
        try Self.failAtPart(3, connection)
        #expect(throws: DatabaseError.self) { try batch.store(connection) }
        let stored = try Self.count(connection, "metrics.routing_metrics")
        #expect(stored > 0 && stored < 900)
        let known = try SessionLedger(connection).storedFrames(among: batch.summary.sessions)
        #expect(known.count == 1)
        #expect(try batch.store(connection, without: known) == StoredBatch(ownRecords: [9: stored]))
        #expect(try Self.count(connection, "metrics.routing_metrics") == 900)
        #expect(try batch.store(connection, without: known) == StoredBatch(wasStoredBefore: true))
    }

    /// One text that every record of its frame repeats: rows of sixteen times the frames' bytes.
    @Test(arguments: TestFlavour.allCases) func aBatchThatExpandsToMoreThanALaneHoldsIsStoredInParts(
        _ flavour: TestFlavour
    ) throws {
        let connection = try Self.made(flavour)
        var frames: [UInt8] = []
        let text = String(repeating: "spillway ", count: 7_000)
        var encoder = FrameEncoder(frameBytesTarget: 100_000)
        let frameCount = 60
        for number in 0..<frameCount {
            for index in 0..<14 {
                var record = AnyRecord(kind: .routing, time: wallClockMicroseconds())
                record.values[0] = .text("large\(number)-\(index)")
                record.values[4] = .text(text)
                #expect(try encoder.append(record))
            }
            let identity = FrameIdentity(source: 9, session: 9, sequence: UInt64(number + 1))
            _ = encoder.finish(identity) { frame in frame.withUnsafeBytes { frames += Array($0) } }
        }
        var acknowledged = FrameFlags()
        for _ in 0..<frameCount { acknowledged.append(true) }
        let summary = BatchSummary(
            identity: BatchIdentity(epoch: 5, sequence: 1), recordCount: 14 * frameCount, frameCount: frameCount,
            byteCount: frames.count, openedMicroseconds: 0,
            sessions: [
                SessionFrames(
                    key: SessionKey(source: 9, session: 9),
                    sequences: SequenceRanges([1..<UInt64(frameCount) + 1]))
            ], acknowledged: acknowledged)
        let decoded = DecodedBatch()
        for attempt in 0..<2 {
            let stored = try frames.span.bytes.withUnsafeBytes { bytes in
                decoded.decode(bytes, summary)
                #expect(decoded.isTooLarge && decoded.recordCount == 14 * frameCount)
                #expect(decoded.rows.byteCount == 0)
                return try BatchWriter(connection, fence: CommitFence(key: 79)).store(
                    summary, frames: bytes, decoded: decoded)
            }
            #expect(stored == StoredBatch(wasStoredBefore: attempt == 1))
        }
        let rows = try connection.query(
            "SELECT count(*), count(DISTINCT query_id), sum(length(model_selected)) FROM metrics.routing_metrics")
        #expect(rows == [["\(14 * frameCount)", "\(14 * frameCount)", "\(14 * frameCount * text.utf8.count)"]])
        #expect(try Self.count(connection, "spillway.batch_parts") == 0)
    }

    @Test(arguments: TestFlavour.allCases) func rowsAtTheEdgesOfTimeAreKept(_ flavour: TestFlavour) throws {
        let connection = try Self.made(flavour)
        // What a frame can say: from timestamptz's beginning on.
        let edges: [Int64] = [
            FrameLimits.timeRange.lowerBound, FrameLimits.timeRange.lowerBound + 1, -1, 0, 1, wallClockMicroseconds(),
            FrameLimits.storedTimeRange.upperBound, FrameLimits.storedTimeRange.upperBound + 1,
            FrameLimits.timeRange.upperBound - 1,
            FrameLimits.timeRange.upperBound,
        ]
        let batch = try SampleBatch(sequence: 5, times: edges, kind: .routing)
        let stored = try batch.store(connection)
        let kept = try Self.count(connection, "metrics.routing_metrics")
        let letters = try Self.count(connection, "spillway.dead_letters")
        #expect(kept + letters == edges.count)
        #expect(stored.deadLetters.values.reduce(0, +) == letters)
        // The range that the protocol promises is TimescaleDB's to the microsecond, and what plain PostgreSQL stores goes on.
        let expected = edges.filter { flavour == .plain || FrameLimits.storedTimeRange.contains($0) }
        #expect(kept == expected.count)
    }
}
