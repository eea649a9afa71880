// A batch of the spill whose tables do not all accept rows is stored kind by kind, each row once.

import Delivery
import FrameCodec
import LinuxSystem
import MetricKinds
import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreWriter
@testable import Postgres

@Suite struct KindStoreTests {
    /// Frames of several kinds, numbered from 1 in a session.
    private struct MixedBatch {
        var frames: [UInt8] = []
        let summary: BatchSummary
        /// Records of each kind.
        let count: Int

        init(sequence: Int64, kinds: [MetricKind], count: Int, days: Int = 1, firstFrame: UInt64 = 1) throws {
            self.count = count
            var frames: [UInt8] = []
            var number = firstFrame
            var encoder = FrameEncoder(frameBytesTarget: 1_400)
            func finish() {
                _ = encoder.finish(FrameIdentity(source: 9, session: 9, sequence: number)) { frame in
                    frame.withUnsafeBytes { frames += Array($0) }
                }
                number += 1
            }
            let now = wallClockMicroseconds()
            for index in 0..<count {
                for kind in kinds {
                    let record = AnyRecord(kind: kind, time: now - Int64(index % days) * 86_400_000_000)
                    if try !encoder.append(record) {
                        finish()
                        _ = try encoder.append(record)
                    }
                }
            }
            finish()
            self.frames = frames
            var acknowledged = FrameFlags()
            for _ in firstFrame..<number { acknowledged.append(true) }
            summary = BatchSummary(
                identity: BatchIdentity(epoch: 12, sequence: sequence), recordCount: count * kinds.count,
                frameCount: Int(number - firstFrame), byteCount: frames.count, openedMicroseconds: 0,
                sessions: [
                    SessionFrames(
                        key: SessionKey(source: 9, session: 9), sequences: SequenceRanges([firstFrame..<number]))
                ], acknowledged: acknowledged)
        }

        /// As a lane that replays it.
        func store(
            _ connection: DatabaseConnection, without held: KindSet = [], counted: StoredPart? = nil
        ) throws -> (stored: StoredBatch, rows: Int, resent: Int) {
            let decoded = DecodedBatch()
            return try frames.span.bytes.withUnsafeBytes { bytes in
                decoded.decode(
                    bytes, summary, storedBefore: try SessionLedger(connection).storedFrames(among: summary.sessions))
                let stored = try BatchWriter(connection, fence: CommitFence(key: 81)).store(
                    summary, frames: bytes, decoded: decoded, keepsMalformed: true, without: held, counted: counted)
                return (
                    stored, decoded.sources.values.reduce(0) { $0 + $1.rows },
                    decoded.sources.values.reduce(0) { $0 + $1.resent }
                )
            }
        }
    }

    private static func made(_ flavour: TestFlavour) throws -> DatabaseConnection {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        return connection
    }

    private static func count(_ connection: DatabaseConnection, _ table: String) throws -> Int {
        Int(try connection.query("SELECT count(*) FROM \(table)")[0][0] ?? "") ?? -1
    }

    private static func part(_ kinds: KindSet) -> StoredPart { StoredPart(kinds: kinds, waiting: [:]) }

    private static let kinds: [MetricKind] = [.routing, .memory, .rag]

    @Test(arguments: TestFlavour.allCases) func eachKindIsStoredOnceHoweverOftenItIsTried(_ flavour: TestFlavour) throws
    {
        let connection = try Self.made(flavour)
        let batch = try MixedBatch(sequence: 1, kinds: Self.kinds, count: 300)
        let held = KindSet([.routing, .rag])
        let first = try batch.store(connection, without: held)
        #expect(first.rows == 300 && first.stored.waiting == [.routing: 300, .rag: 300])
        #expect(first.stored.kinds == KindSet(.memory) && !first.stored.wasStoredBefore)
        // Nothing more can be stored yet; a run that has counted nothing hears of what is stored.
        let again = try batch.store(connection, without: held)
        #expect(again.rows == 0 && again.stored.partRecords == [9: 300])
        #expect(again.stored.waiting == [.routing: 300, .rag: 300])
        let second = try batch.store(connection, without: KindSet(.routing), counted: Self.part(KindSet(.memory)))
        #expect(second.rows == 300 && second.stored.partRecords.isEmpty && second.stored.waiting == [.routing: 300])
        let last = try batch.store(connection, counted: Self.part(KindSet([.memory, .rag])))
        #expect(last.rows == 300 && last.stored.waiting.isEmpty)
        for kind in Self.kinds { #expect(try Self.count(connection, SchemaSQL.table(kind)) == 300) }
        #expect(try Self.count(connection, "spillway.batch_parts") == 0)
        #expect(try connection.query("SELECT records FROM spillway.batches") == [["900"]])
        #expect(try batch.store(connection).stored.wasStoredBefore)
        #expect(!connection.isInTransaction)
    }

    /// A batch over many days is stored in parts until a table refuses everything: what the parts set aside is counted.
    @Test func lettersOfEarlierPartsAreCounted() throws {
        let connection = try Self.made(.plain)
        try connection.execute(
            """
            ALTER TABLE metrics.memory_metrics ADD CHECK (time < now() - interval '12 hours') NOT VALID;
            CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF new.time < now() - interval '50 days' THEN RAISE EXCEPTION 'no' USING ERRCODE = '42P01'; END IF;
                RETURN new; END $$;
            CREATE TRIGGER no BEFORE INSERT ON metrics.rag_metrics FOR EACH ROW EXECUTE FUNCTION no()
            """)
        let batch = try MixedBatch(sequence: 1, kinds: Self.kinds, count: 100, days: 100)
        #expect(throws: DatabaseError.self) { try batch.store(connection) }
        let letters = try connection.query("SELECT kind, records FROM spillway.dead_letters")
        #expect(letters == [["memory", "1"]])
        let first = try batch.store(connection, without: KindSet(.rag))
        #expect(first.stored.deadLetters == [9: 1], "\(first.stored)")
        let own = try #require(first.stored.ownRecords[9])
        let waiting = try #require(first.stored.waiting[.rag])
        #expect(own > 0 && own + first.rows + waiting == 300)
        try connection.execute("DROP TRIGGER no ON metrics.rag_metrics")
        let rest = try batch.store(connection, counted: Self.part(KindSet([.routing, .memory])))
        #expect(rest.stored.deadLetters.isEmpty && rest.rows == waiting, "\(rest.stored)")
        let stored = try Self.kinds.map { try Self.count(connection, SchemaSQL.table($0)) }
        #expect(stored == [100, 99, 100])
    }

    /// The frames of a batch that waits belong to it: another batch with the same frames stores none of their rows.
    @Test func framesThatAreClaimedAreNotStoredByAnotherBatch() throws {
        let connection = try Self.made(.plain)
        let batch = try MixedBatch(sequence: 1, kinds: Self.kinds, count: 100)
        _ = try batch.store(connection, without: KindSet(.routing))
        let resent = try MixedBatch(sequence: 2, kinds: Self.kinds, count: 100)
        let other = try resent.store(connection)
        #expect(other.rows == 0 && other.resent == 300)
        _ = try batch.store(connection)
        for kind in Self.kinds { #expect(try Self.count(connection, SchemaSQL.table(kind)) == 100) }
    }

    /// What another batch had stored when the claim was made stays out of every later part.
    @Test func framesThatAnotherBatchHasStoredAreNeverStoredAgain() throws {
        let connection = try Self.made(.plain)
        let first = try MixedBatch(sequence: 1, kinds: Self.kinds, count: 300)
        _ = try first.store(connection)
        let batch = try MixedBatch(sequence: 2, kinds: Self.kinds, count: 900)
        let part = try batch.store(connection, without: KindSet(.routing))
        #expect(part.resent > 0)
        let waiting = try #require(part.stored.waiting[.routing])
        let rest = try batch.store(connection, counted: Self.part(KindSet([.memory, .rag])))
        #expect(rest.rows == waiting)
        let frames = try #require(batch.summary.sessions.first).sequences.ranges[0].count
        #expect(try Self.count(connection, "spillway.batches") == 2)
        // Of the session's frames each is stored by one of the two batches.
        let routing = try Self.count(connection, "metrics.routing_metrics")
        #expect(routing == 300 + waiting && frames > first.summary.frameCount)
    }

    @Test(arguments: TestFlavour.allCases) func aBatchOverManyDaysIsStoredKindByKindAsWell(_ flavour: TestFlavour)
        throws
    {
        let connection = try Self.made(flavour)
        let batch = try MixedBatch(sequence: 1, kinds: Self.kinds, count: 400, days: 200)
        let first = try batch.store(connection, without: KindSet(.routing))
        #expect(first.rows == 800 && first.stored.waiting == [.routing: 400])
        let last = try batch.store(connection, counted: Self.part(first.stored.kinds))
        #expect(last.rows == 400 && last.stored.waiting.isEmpty)
        for kind in Self.kinds { #expect(try Self.count(connection, SchemaSQL.table(kind)) == 400) }
        #expect(try Self.count(connection, "spillway.batch_parts") == 0)
    }

    /// Whole batches are the rule: one that was begun by kinds is not stored whole by an attempt that knows nothing of that.
    @Test func anAttemptThatKnowsNothingOfThePartsFindsThem() throws {
        let connection = try Self.made(.plain)
        let batch = try MixedBatch(sequence: 1, kinds: Self.kinds, count: 50)
        _ = try batch.store(connection, without: KindSet(.memory))
        let rest = try batch.store(connection)
        #expect(rest.rows == 50 && rest.stored.partRecords == [9: 100] && rest.stored.waiting.isEmpty)
        for kind in Self.kinds { #expect(try Self.count(connection, SchemaSQL.table(kind)) == 50) }
    }

    /// The server reads a float's four bytes as an integer without a word: nothing is sent there.
    @Test func aColumnOfAnotherTypeIsNamedBeforeARowIsSent() throws {
        let connection = try Self.made(.plain)
        let batch = try MixedBatch(sequence: 1, kinds: [.routing], count: 5)
        for (change, words) in [
            ("ALTER COLUMN complexity_score TYPE integer", "complexity_score must be real"),
            ("ALTER COLUMN complexity_score TYPE double precision", "complexity_score must be real"),
            ("ALTER COLUMN tags TYPE json", "tags must be jsonb"),
            ("RENAME COLUMN model_selected TO model", "model_selected is missing"),
        ] {
            try connection.execute("BEGIN; ALTER TABLE metrics.routing_metrics \(change); COMMIT")
            let error = try databaseError { () throws(DatabaseError) in
                do { _ = try batch.store(connection) } catch let error as DatabaseError { throw error } catch {
                    Issue.record(error)
                }
            }
            #expect(error.refusingKind == .routing && "\(error)".contains(words), "\(error)")
            #expect(!connection.isInTransaction)
            #expect(try Self.count(connection, "metrics.routing_metrics") == 0)
            try connection.execute(
                """
                DROP TABLE metrics.routing_metrics
                """)
            try SchemaManager(connection).apply()
        }
        // A text of limited length has the form of any text.
        try connection.execute("ALTER TABLE metrics.routing_metrics ALTER COLUMN query_id TYPE varchar(10)")
        #expect(try batch.store(connection).rows == 5)
    }
}
