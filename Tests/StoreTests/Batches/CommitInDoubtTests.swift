// A COMMIT that the server ends with a warning, because somebody has cancelled its wait for a standby, is not taken for done.

import Delivery
import Glibc
import LinuxSystem
import Synchronization
import TestSupport
import Testing

@testable import StoreSchema
@testable import Postgres

@Suite(.timeLimit(.minutes(5))) struct CommitInDoubtTests {
    private static let waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

    /// Cancels every wait for a standby, from a thread of its own, until `body` is done.
    private static func cancelling<Result>(
        _ location: DatabaseLocation, _ body: () throws -> Result
    ) throws -> Result {
        let isEnded = Atomic(false)
        let thread = try NamedThread(name: "canceller") {
            do {
                let connection = try DatabaseConnection(location)
                while !isEnded.load(ordering: .relaxed) {
                    try connection.query("SELECT pg_cancel_backend(pid) FROM (\(Self.waiting)) waiting")
                    usleep(10_000)
                }
            } catch {
                Issue.record(error)
            }
        }
        defer {
            isEnded.store(true, ordering: .relaxed)
            thread.join()
        }
        return try body()
    }

    /// Whether a COMMIT that writes waits for a standby, as it does until it is cancelled.
    private static func waitsForStandby(_ connection: DatabaseConnection) throws -> Bool {
        try connection.begin()
        try connection.execute("CREATE TABLE IF NOT EXISTS probe (a int)")
        try connection.execute("INSERT INTO probe VALUES (1)")
        do throws(DatabaseError) {
            try connection.commit()
            return false
        } catch {
            guard error.isCommitOutcomeUnknown else { throw error }
            return true
        }
    }

    @Test func aCancelledWaitIsUnknownAndSettledByTheLedgerOnceAStandbyCouldHaveIt() throws {
        let server = try HostPostgres()
        defer { server.stop(SIGQUIT) }
        try server.start()
        let location = try server.location()
        let administrator = try DatabaseConnection(location)
        try SchemaManager(administrator).apply(daysAhead: 0)
        let connection = try DatabaseConnection(location)
        let batch = try SampleBatch(sequence: 1, days: [0], kind: .routing)
        func wantStandby(_ name: String) throws {
            try administrator.execute("ALTER SYSTEM SET synchronous_standby_names = '\(name)'")
            try administrator.execute("SELECT pg_reload_conf()")
            while try administrator.query("SHOW synchronous_standby_names") != [[name]] { usleep(10_000) }
        }
        try wantStandby("nobody")
        // The process that tells the others may come to it later than the one that is asked.
        let probe = try DatabaseConnection(location)
        while try !Self.cancelling(location, { try Self.waitsForStandby(probe) }) {}
        // The first attempt, and one that finds the row of the first and would wait for the same standby.
        for _ in 0..<2 {
            let error = try Self.cancelling(location) {
                try databaseError { () throws(DatabaseError) in
                    do { _ = try batch.store(connection) } catch let error as DatabaseError { throw error } catch {
                        Issue.record(error)
                    }
                }
            }
            #expect(error.isCommitOutcomeUnknown && error.isTransient && connection.isUsable, "\(error)")
            #expect("\(error)".contains("synchronous replication"), "\(error)")
        }
        #expect(try administrator.query("SELECT count(*) FROM metrics.routing_metrics") == [["1"]])
        try wantStandby("")
        #expect(try batch.store(connection) == StoredBatch(wasStoredBefore: true))
        #expect(try administrator.query("SELECT count(*) FROM metrics.routing_metrics") == [["1"]])
    }

    @Test func aWarningOfATriggerThatRunsInCommitIsNone() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        try connection.execute(
            """
            CREATE TABLE t (a int);
            CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'so'; RETURN new; END $$;
            CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION warn()
            """)
        try connection.begin()
        try connection.execute("INSERT INTO t VALUES (1)")
        try connection.commit()
    }
}
