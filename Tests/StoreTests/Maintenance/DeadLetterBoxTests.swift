// Dead letters come back to life when their cause is gone, each once.

import Delivery
import FrameCodec
import LinuxSystem
import MetricKinds
import TestSupport
import Testing
import Text

@testable import StoreSchema
@testable import Maintenance
@testable import Postgres

@Suite struct DeadLetterBoxTests {
    private static func refusing(_ flavour: TestFlavour) throws -> DatabaseConnection {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        try connection.execute(
            "ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%7')")
        #expect(
            try SampleBatch(sequence: 1, days: [Int](repeating: 0, count: 100), kind: .routing).store(connection)
                == StoredBatch(deadLetters: [9: 10]))
        return connection
    }

    private static func count(_ connection: DatabaseConnection, _ table: String) throws -> Int {
        Int(try connection.query("SELECT count(*) FROM \(table)")[0][0] ?? "") ?? -1
    }

    @Test(arguments: TestFlavour.allCases) func theyAreStoredWhenTheirCauseIsGone(_ flavour: TestFlavour) throws {
        let connection = try Self.refusing(flavour)
        let box = DeadLetterBox(connection)
        let groups = try box.groups()
        #expect(groups.count == 1 && groups[0].letters == 10 && groups[0].records == 10)
        #expect(groups[0].kind == "routing" && groups[0].sqlstate == "23514")
        // The cause is still there: they stay.
        let refused = try box.sendAgain(DeadLetterFilter())
        #expect(refused.letters == 10 && refused.recordsStored == 0 && refused.lettersLeft == 10)
        #expect(refused.lastReason?.contains("picky") == true)
        #expect(try Self.count(connection, "spillway.dead_letters") == 10)
        // For one of them it is gone.
        try connection.execute(
            """
            ALTER TABLE metrics.routing_metrics DROP CONSTRAINT picky;
            ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%7' OR query_id LIKE '%37')
            """)
        let some = try box.sendAgain(DeadLetterFilter())
        #expect(some.recordsStored == 1 && some.lettersLeft == 9)
        try connection.execute("ALTER TABLE metrics.routing_metrics DROP CONSTRAINT picky")
        var filter = DeadLetterFilter()
        filter.kind = .rag
        #expect(try box.sendAgain(filter) == DeadLetterOutcome())
        filter.kind = .routing
        filter.sqlstate = "23514"
        #expect(try box.sendAgain(filter).recordsStored == 9)
        #expect(try box.sendAgain(DeadLetterFilter()) == DeadLetterOutcome())
        #expect(try Self.count(connection, "metrics.routing_metrics") == 100)
        let distinct = try connection.query("SELECT count(DISTINCT query_id) FROM metrics.routing_metrics")
        #expect(distinct == [["100"]])
    }

    @Test func aTableThatAcceptsNothingKeepsOnlyItsOwnLetters() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        try SchemaManager(connection).apply()
        for (number, kind) in [MetricKind.routing, .rag, .routing, .rag, .memory].enumerated() {
            let frames = try SampleBatch(sequence: Int64(number), days: [0], kind: kind).frames
            try connection.query(
                """
                INSERT INTO spillway.dead_letters (epoch, sequence, source, records, reason, frame)
                VALUES (1, $1, 9, 1, 'a test', decode($2, 'hex'))
                """, [String(number), frames.map { hexadecimal(UInt64($0), digits: 2) }.joined()])
        }
        try connection.execute(
            """
            ALTER TABLE metrics.routing_metrics RENAME COLUMN query_id TO other;
            CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE insufficient_privilege; END$$;
            CREATE TRIGGER no BEFORE INSERT ON metrics.memory_metrics FOR EACH ROW EXECUTE FUNCTION no()
            """)
        let box = DeadLetterBox(connection)
        let some = try box.sendAgain(DeadLetterFilter())
        #expect(some.letters == 5 && some.recordsStored == 2 && some.lettersLeft == 3, "\(some)")
        #expect(some.lastReason?.contains("metrics.memory_metrics accepts nothing") == true)
        #expect(try Self.count(connection, "metrics.rag_metrics") == 2)
        try connection.execute(
            "ALTER TABLE metrics.routing_metrics RENAME COLUMN other TO query_id; DROP FUNCTION no CASCADE")
        let rest = try box.sendAgain(DeadLetterFilter())
        #expect(rest.letters == 3 && rest.recordsStored == 3 && rest.lettersLeft == 0)
    }

    /// Two lanes store letters at once: the higher id may be committed first.
    @Test func aLetterWithALowerIdIsNotOverlooked() throws {
        let location = try TestServers.database(.plain)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        let insert = """
            INSERT INTO spillway.dead_letters (epoch, sequence, source, records, reason, frame)
            VALUES (1, 1, 1, 1, 'a test', '\\x00')
            """
        let slow = try DatabaseConnection(location)
        try slow.begin()
        try slow.execute(insert)
        try connection.execute(insert)
        let box = DeadLetterBox(connection)
        var filter = DeadLetterFilter()
        filter.upToID = try box.groups()[0].lastID
        let held = try databaseError { () throws(DatabaseError) in try box.settle() }
        #expect(held.sqlstate == .lockNotAvailable && !connection.isInTransaction)
        try slow.commit()
        try box.settle()
        var ids: [Int64] = []
        try box.forEach(filter) { ids.append($0.id) }
        #expect(ids.count == 2)
    }

    @Test func ofAWholeFrameOnlyTheRefusedRecordIsMeant() throws {
        let connection = try Self.refusing(.plain)
        let batch = try SampleBatch(sequence: 2, days: [0, 0, 0], kind: .routing)
        let frame = batch.frames.span.bytes.withUnsafeBytes { DatabaseConnection.byteaText($0) }
        for (index, kind) in [("1", "routing"), (nil, "routing"), ("9", "routing"), (nil, nil)] as [(String?, String?)]
        {
            try connection.query(
                """
                INSERT INTO spillway.dead_letters (kind, source, records, reason, frame, record_index)
                VALUES ($1, 9, 1, 'by hand', $2::bytea, $3::integer)
                """, [kind, frame, index])
        }
        try connection.execute("DELETE FROM spillway.dead_letters WHERE reason <> 'by hand'")
        let outcome = try DeadLetterBox(connection).sendAgain(DeadLetterFilter())
        // The second cannot be told, the third is not in the frame; the last was malformed once and is not any more.
        #expect(outcome.letters == 4 && outcome.recordsStored == 4 && outcome.lettersLeft == 2)
        let names = try connection.query(
            "SELECT query_id, count(*) FROM metrics.routing_metrics WHERE query_id LIKE 'sample2%' GROUP BY 1 ORDER BY 1"
        )
        #expect(names == [["sample2-0", "1"], ["sample2-1", "2"], ["sample2-2", "1"]])
    }

    @Test func damagedLettersStayAndAreNamed() throws {
        let connection = try Self.refusing(.plain)
        try connection.execute(
            """
            DELETE FROM spillway.dead_letters;
            INSERT INTO spillway.dead_letters (source, records, reason, frame) VALUES
                (1, 0, 'r', ''), (1, 1, 'r', '\\x00'), (1, 1, 'r', decode(repeat('53', 100), 'hex'))
            """)
        let outcome = try DeadLetterBox(connection).sendAgain(DeadLetterFilter())
        #expect(outcome.letters == 3 && outcome.lettersLeft == 3 && outcome.lastReason != nil)
        #expect(try DeadLetterBox(connection).discard(DeadLetterFilter()) == 3)
        #expect(try DeadLetterBox(connection).groups().isEmpty)
    }

    @Test func twoAtOnceStoreEachLetterOnce() throws {
        let connection = try Self.refusing(.plain)
        try connection.execute("ALTER TABLE metrics.routing_metrics DROP CONSTRAINT picky")
        let location = connection.location
        let threads = try (0..<4).map { index in
            try NamedThread(name: "resend-\(index)") {
                do {
                    _ = try DeadLetterBox(DatabaseConnection(location)).sendAgain(DeadLetterFilter())
                } catch {
                    Issue.record(error)
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(try Self.count(connection, "spillway.dead_letters") == 0)
        #expect(try Self.count(connection, "metrics.routing_metrics") == 100)
    }
}
