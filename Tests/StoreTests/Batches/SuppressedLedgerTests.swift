// What somebody does to the collector's own tables so that they keep nothing, without an error: it is refused, and reported.

import Delivery
import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreWriter
@testable import Maintenance
@testable import Postgres

@Suite struct SuppressedLedgerTests {
    private static func prepared() throws -> DatabaseConnection {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        try SchemaManager(connection).apply()
        try connection.execute(
            "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$")
        return connection
    }

    private static func count(_ connection: DatabaseConnection, _ table: String) throws -> Int {
        Int(try connection.query("SELECT count(*) FROM \(table)")[0][0] ?? "") ?? -1
    }

    @Test func aBatchWhoseLettersATriggerSuppressesIsNotStored() throws {
        let connection = try Self.prepared()
        try connection.execute(
            """
            ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%7');
            CREATE TRIGGER t BEFORE INSERT ON spillway.dead_letters FOR EACH ROW EXECUTE FUNCTION swallow()
            """)
        let batch = try SampleBatch(sequence: 1, days: [Int](repeating: 0, count: 100), kind: .routing)
        let error = #expect(throws: DatabaseError.self) { try batch.store(connection) }
        #expect(error?.kind == .suppressed(table: "spillway.dead_letters", rows: 10))
        #expect(error?.isTransient == false && "\(error as DatabaseError?)".contains("spillway.dead_letters"))
        #expect(try Self.count(connection, "metrics.routing_metrics") == 0)
        try connection.execute("DROP TRIGGER t ON spillway.dead_letters")
        #expect(try batch.store(connection) == StoredBatch(deadLetters: [9: 10]))
        #expect(try Self.count(connection, "spillway.dead_letters") == 10)
    }

    @Test func aBatchThatTheLedgerDoesNotKeepIsNotStored() throws {
        let connection = try Self.prepared()
        try connection.execute(
            "CREATE TRIGGER z BEFORE INSERT ON spillway.batches FOR EACH ROW EXECUTE FUNCTION swallow()")
        let batch = try SampleBatch(sequence: 1, days: [0], kind: .routing)
        let error = #expect(throws: DatabaseError.self) { try batch.store(connection) }
        #expect(error?.kind == .suppressed(table: "spillway.batches", rows: 1))
        #expect(try Self.count(connection, "metrics.routing_metrics") == 0)
    }

    @Test func lettersThatCannotBeRemovedAreNotStoredAgain() throws {
        let connection = try Self.prepared()
        try connection.execute(
            """
            ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%7');
            CREATE TRIGGER t BEFORE DELETE ON spillway.dead_letters FOR EACH ROW EXECUTE FUNCTION swallow()
            """)
        _ = try SampleBatch(sequence: 1, days: [Int](repeating: 0, count: 100), kind: .routing).store(connection)
        try connection.execute("ALTER TABLE metrics.routing_metrics DROP CONSTRAINT picky")
        let error = #expect(throws: DatabaseError.self) {
            try DeadLetterBox(connection).sendAgain(DeadLetterFilter())
        }
        #expect(error?.kind == .suppressed(table: "spillway.dead_letters", rows: 10))
        #expect(try Self.count(connection, "metrics.routing_metrics") == 90)
    }

    @Test func whatDisarmsTheCollectorsTablesIsReported() throws {
        let connection = try Self.prepared()
        let manager = SchemaManager(connection)
        func lines() throws -> [String] {
            try manager.durabilityWarnings().filter { $0.hasPrefix("spillway.") || $0.hasPrefix("the trigger") }
        }
        #expect(try lines() == [])
        try connection.execute(
            """
            CREATE TRIGGER t BEFORE INSERT ON spillway.dead_letters FOR EACH ROW EXECUTE FUNCTION swallow();
            CREATE RULE r AS ON INSERT TO spillway.session_frames DO INSTEAD NOTHING;
            ALTER TABLE spillway.batches DISABLE TRIGGER ALL;
            ALTER TABLE spillway.batches DROP CONSTRAINT batches_pkey
            """)
        let found = try lines()
        #expect(found.count == 4, "\(found)")
        for part in [
            "DROP TRIGGER t ON spillway.dead_letters", "DROP RULE r ON spillway.session_frames",
            "ENABLE TRIGGER refuse_stored_batch", "spillway.batches has no primary key",
        ] { #expect(found.contains { $0.contains(part) }, "\(part)") }
    }

    /// VACUUM FULL or REINDEX of one partition takes such a lock.
    @Test func aLockedPartitionHoldsUpNoOtherTable() throws {
        let connection = try Self.prepared()
        let other = try DatabaseConnection(connection.location)
        let partition = try #require(
            try other.query(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'metrics.metric_points'::regclass LIMIT 1"
            )[
                0][0])
        try other.begin()
        try other.execute("LOCK TABLE \(partition) IN ACCESS EXCLUSIVE MODE")
        try connection.begin()
        try TableCheck.run(.all, connection)
        let locks = try other.query(
            "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relispartition AND l.pid <> pg_backend_pid() AND l.granted AND c.relnamespace = 'metrics'::regnamespace"
        )
        #expect(locks == [["0"]], "only the tables themselves are locked")
        try connection.rollback()
        try other.rollback()
    }

    @Test func settingsThatTheDatabaseDoesNotKeepAreReported() throws {
        let connection = try Self.prepared()
        let manager = SchemaManager(connection)
        func retention(_ text: String) throws -> PolicyChanges {
            var changes = PolicyChanges()
            try changes.add(.retention, [text])
            return changes
        }
        let own = try retention("90d")
        try manager.apply(changes: own)
        #expect(try manager.policyConflicts(with: own) == [])
        #expect(try manager.policyConflicts(with: PolicyChanges()) == [])
        try manager.apply(changes: try retention("7d"))
        let lines = try manager.policyConflicts(with: own)
        #expect(
            lines.count == 1 && lines[0].contains("dropped after 7d") && lines[0].contains("dropped after 90d"),
            "\(lines)")
        var reloaded = own
        reloaded.replace(with: try retention("7d"))
        #expect(try manager.policyConflicts(with: reloaded) == [])
    }
}
