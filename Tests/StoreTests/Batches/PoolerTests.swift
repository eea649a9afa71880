// Behind a pooler in transaction mode: what this program sets holds in its transactions and reaches no other client, and no lock
// stays with a session of the server.

import Delivery
import LinuxSystem
import TestSupport
import Testing

@testable import StoreSchema
@testable import Maintenance
@testable import Postgres

@Suite(.timeLimit(.minutes(5))) struct PoolerTests {
    private struct Pooled {
        let server: DatabaseConnection
        let pooler: PoolerProcess

        /// - Parameter settings: of the database, before the pooler has a session with it.
        init(_ flavour: TestFlavour, _ settings: [(String, String)] = []) throws {
            let location = try TestServers.database(flavour)
            server = try DatabaseConnection(location)
            for (name, value) in settings {
                try server.execute("ALTER DATABASE \(location.database ?? "") SET \(name) = \(value)")
            }
            pooler = try PoolerProcess(url: TestServers.url(location), sessions: 3)
        }

        var locks: Int {
            get throws {
                let rows = try server.query(
                    """
                    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    """)
                return try #require(rows[0][0].flatMap { Int($0) })
            }
        }

        func connection() throws -> DatabaseConnection {
            try DatabaseConnection(pooler.location(), options: ConnectionOptions(isForWriting: true))
        }
    }

    @Test(arguments: TestFlavour.local)
    func settingsHoldInEachTransactionAndReachNoOtherClient(_ flavour: TestFlavour) throws {
        let pooled = try Pooled(
            flavour,
            [
                ("synchronous_commit", "off"), ("bytea_output", "escape"), ("array_nulls", "off"),
                ("statement_timeout", "'20s'"), ("search_path", "'\"$user\", public, pg_catalog'"),
                ("row_security", "off"), ("session_replication_role", "replica"),
            ])
        let connection = try pooled.connection()
        #expect(connection.isPooled)
        func check() throws {
            for setting in SessionSettings.meanings + [SessionSettings.triggersFire, ("statement_timeout", "0")]
            where !setting.name.hasPrefix("default_transaction") {
                #expect(
                    try connection.query("SELECT current_setting($1)", [setting.name]) == [[setting.value]],
                    "\(setting.name)")
            }
        }
        try check()
        try connection.begin()
        #expect(try connection.query("SHOW synchronous_commit") == [["on"]])
        // Another transaction at the same time, in another session.
        let second = try pooled.connection()
        #expect(try second.query("SHOW array_nulls") == [["on"]])
        try connection.commit()
        try check()
        // Other clients have what the server says, in every session of it.
        let others = try (0..<3).map { _ in try Self.other(pooled) }
        for other in others { #expect(other == ["off", "escape", "off", "20s", "0", "replica"], "\(other)") }
    }

    /// What a client that sets nothing sees, read in one statement of the simple protocol.
    private static func other(_ pooled: Pooled) throws -> [String?] {
        let names = [
            "synchronous_commit", "bytea_output", "array_nulls", "statement_timeout", "lock_timeout",
            "session_replication_role",
        ]
        let values = names.map { "current_setting('\($0)')" }.joined(separator: ", ")
        let connection = try DatabaseConnection(pooled.pooler.location())
        // Before any settings of this one's own.
        connection.isPooled = false
        return try connection.query("SELECT \(values)")[0]
    }

    @Test(arguments: TestFlavour.local) func leadersLeaveNoLockBehind(_ flavour: TestFlavour) throws {
        let pooled = try Pooled(flavour)
        let first = try pooled.connection()
        let schema = try SchemaManager(first).apply()
        #expect(schema.isComplete && schema.warnings.isEmpty, "\(schema.warnings)")
        for leadership in [Leadership.housekeeping, .partitions, .sessionSweep] {
            #expect(try leadership.isHeld(by: first))
            #expect(try pooled.locks == 0)
            // One that is connected itself keeps its lock, and goes before.
            #expect(try leadership.isHeld(by: pooled.server))
            #expect(try !leadership.isHeld(by: first))
            try leadership.stepDown(pooled.server)
            #expect(try leadership.isHeld(by: pooled.connection()))
            try leadership.stepDown(first)
        }
        // What leaders do works there, and for two at the same time.
        #expect(try SampleBatch(sequence: 1, days: [0, 200, 201], kind: .routing).store(first) == StoredBatch())
        let second = try pooled.connection()
        let tomorrow = wallClockMicroseconds() + 86_400_000_000
        for connection in [first, second] {
            let manager = SchemaManager(connection, now: { tomorrow })
            #expect(try manager.ensurePartitionsAhead().warnings.isEmpty)
            let report = try Housekeeping(SchemaManager(connection)).run()
            #expect(report.warnings.isEmpty, "\(report)")
            var sweep = SessionSweep()
            #expect(try sweep.nextPage(connection, localMicroseconds: wallClockMicroseconds()).isAtEnd)
        }
        #expect(try pooled.server.query("SELECT count(*) FROM metrics.routing_metrics") == [["1"]])
        #expect(try pooled.locks == 0)
    }

    @Test func batchesAreStoredOnceAndRefusedRowsSetAside() throws {
        let pooled = try Pooled(.timescale)
        let first = try pooled.connection()
        try SchemaManager(first).apply()
        try pooled.server.execute(
            "ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%-1')")
        let batch = try SampleBatch(sequence: 1, times: [1, 2, 3], kind: .routing, firstFrame: 1)
        #expect(try batch.store(first).deadLetters == [9: 1])
        #expect(try batch.store(pooled.connection()) == StoredBatch(wasStoredBefore: true, deadLetters: [9: 1]))
        let parted = try SampleBatch(sequence: 2, days: Array(0..<80), kind: .rag)
        #expect(try parted.store(first) == StoredBatch())
        #expect(try parted.store(first) == StoredBatch(wasStoredBefore: true))
        try pooled.server.execute("ALTER TABLE metrics.routing_metrics DROP CONSTRAINT picky")
        #expect(try DeadLetterBox(first).sendAgain(DeadLetterFilter()).recordsStored == 1)
        #expect(try pooled.server.query("SELECT count(*) FROM metrics.rag_metrics") == [["80"]])
    }
}
