// A BEFORE trigger that returns NULL suppresses a row without an error: such rows are counted, and not as committed.

import Delivery
import FrameCodec
import MetricKinds
import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreWriter
@testable import Maintenance
@testable import Postgres

@Suite struct SuppressedRowsTests {
    private static let trigger = """
        CREATE FUNCTION drop_odd() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF new.query_id ~ '[13579]$' THEN RETURN NULL; END IF; RETURN new; END $$;
        CREATE TRIGGER drop_odd BEFORE INSERT ON metrics.routing_metrics FOR EACH ROW EXECUTE FUNCTION drop_odd()
        """

    private static func connection(_ flavour: TestFlavour) throws -> DatabaseConnection {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply(daysAhead: 0)
        try connection.execute(trigger)
        return connection
    }

    private static func rows(_ connection: DatabaseConnection) throws -> String? {
        try connection.query("SELECT count(*) FROM metrics.routing_metrics")[0][0]
    }

    @Test(arguments: TestFlavour.allCases) func theyAreCountedForTheirSource(_ flavour: TestFlavour) throws {
        let connection = try Self.connection(flavour)
        let batch = try SampleBatch(sequence: 1, days: [Int](repeating: 0, count: 10), kind: .routing)
        let outcome = try batch.store(connection)
        #expect(outcome.suppressed == [9: 5] && outcome.suppressedByTable == ["metrics.routing_metrics": 5])
        #expect(try Self.rows(connection) == "5")
        // Beside rows that the table refuses from now on.
        try connection.execute(
            "ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%8') NOT VALID")
        let refusing = try SampleBatch(sequence: 2, days: [Int](repeating: 0, count: 10), kind: .routing).store(
            connection)
        #expect(refusing.suppressed == [9: 5] && refusing.deadLetters == [9: 1], "\(refusing)")
        #expect(try Self.rows(connection) == "9")
    }

    /// Frames of three sources by turns, each with query ids of its own.
    @Test(arguments: TestFlavour.allCases) func ofSeveralSourcesEachHasItsOwn(_ flavour: TestFlavour) throws {
        let connection = try Self.connection(flavour)
        var frames: [UInt8] = []
        for number in 0..<30 {
            var encoder = FrameEncoder()
            // Of the first source all, of the second half, of the third none.
            let digit = [1, number % 2, 2][number % 3]
            #expect(try encoder.append(RoutingRecord(time: 1, queryID: "n\(number)-\(digit)")))
            #expect(try encoder.append(PointRecord(time: 1, metricName: "m", value: 1)))
            let identity = FrameIdentity(source: UInt64(1 + number % 3), session: 1, sequence: 0)
            frames += try #require(encoder.finish(identity) { frame in frame.withUnsafeBytes { Array($0) } })
        }
        let summary = BatchSummary(
            identity: BatchIdentity(epoch: 4, sequence: 1), recordCount: 60, frameCount: 30, byteCount: frames.count,
            openedMicroseconds: 0, sessions: [])
        let decoded = DecodedBatch()
        let outcome = try frames.span.bytes.withUnsafeBytes { raw in
            decoded.decode(raw, summary)
            return try BatchWriter(connection, fence: CommitFence(key: 79)).store(
                summary, frames: raw, decoded: decoded)
        }
        #expect(outcome.suppressed == [1: 10, 2: 5], "\(outcome)")
        #expect(try Self.rows(connection) == "15")
        #expect(try connection.query("SELECT count(*) FROM metrics.metric_points") == [["30"]])
        #expect(try connection.query("SELECT count(*) FROM spillway.batches") == [["1"]])
    }

    @Test func aLetterThatIsSuppressedStays() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        try SchemaManager(connection).apply(daysAhead: 0)
        try connection.execute(
            "ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%1')")
        let batch = try SampleBatch(sequence: 1, days: [0, 0], kind: .routing)
        #expect(try batch.store(connection).deadLetters == [9: 1])
        try connection.execute("ALTER TABLE metrics.routing_metrics DROP CONSTRAINT picky; \(Self.trigger)")
        let outcome = try DeadLetterBox(connection).sendAgain(DeadLetterFilter())
        #expect(outcome.recordsStored == 0 && outcome.lettersLeft == 1, "\(outcome)")
        #expect(outcome.lastReason?.contains("trigger") == true)
        try connection.execute("DROP TRIGGER drop_odd ON metrics.routing_metrics")
        #expect(try DeadLetterBox(connection).sendAgain(DeadLetterFilter()).recordsStored == 1)
    }
}
