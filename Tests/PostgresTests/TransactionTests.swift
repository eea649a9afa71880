import Foundation
import LinuxSystem
import TestSupport
import Testing

@testable import Postgres

@Suite struct TransactionTests {
    private func makeConnection(_ flavour: TestFlavour, stop: WakeEvent? = nil) throws -> DatabaseConnection {
        let connection = try DatabaseConnection(TestServers.database(flavour), stop: stop)
        try connection.execute("CREATE TABLE t (a int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
        return connection
    }

    @Test(arguments: TestFlavour.allCases) func aRefusedCommitIsKnownToHaveFailed(flavour: TestFlavour) throws {
        let connection = try makeConnection(flavour)
        try connection.execute("BEGIN; INSERT INTO t VALUES (1), (1)")
        let error = try databaseError { () throws(DatabaseError) in try connection.commit() }
        #expect(error.sqlstate == .uniqueViolation)
        #expect(!error.isCommitOutcomeUnknown)
    }

    @Test(arguments: TestFlavour.allCases) func committingAFailedTransactionIsAnError(flavour: TestFlavour) throws {
        let connection = try makeConnection(flavour)
        try connection.begin()
        _ = try databaseError { () throws(DatabaseError) in try connection.execute("SELECT 1/0") }
        let error = try databaseError { () throws(DatabaseError) in try connection.commit() }
        #expect(error.description.contains("ROLLBACK"))
        #expect(!error.isCommitOutcomeUnknown)
    }

    @Test(arguments: TestFlavour.allCases) func aCommitWithoutAnswerIsUnknown(flavour: TestFlavour) throws {
        let stop = try WakeEvent()
        let connection = try makeConnection(flavour, stop: stop)
        // The trigger runs inside COMMIT and outlasts the wait for it.
        try connection.execute(
            """
            CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(60); RETURN new; END $$;
            CREATE CONSTRAINT TRIGGER sleep AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION sleep();
            BEGIN; INSERT INTO t VALUES (1)
            """)
        let thread = try later(milliseconds: 100) { stop.signal() }
        defer { thread.join() }
        let error = try databaseError { () throws(DatabaseError) in try connection.commit() }
        #expect(error.kind == .cancelled)
        #expect(error.isCommitOutcomeUnknown)
        #expect(error.description.contains("unknown"))
        let next = try databaseError { () throws(DatabaseError) in try connection.commit() }
        #expect(!next.isCommitOutcomeUnknown, "nothing was sent this time")
    }

    @Test(arguments: TestFlavour.allCases) func aThrowingBodyRollsBack(flavour: TestFlavour) throws {
        let connection = try makeConnection(flavour)
        _ = try databaseError { () throws(DatabaseError) in
            try connection.inTransaction { () throws(DatabaseError) in
                try connection.execute("INSERT INTO t VALUES (1)")
                try connection.execute("SELECT * FROM missing")
            }
        }
        #expect(try connection.query("SELECT count(*) FROM t") == [["0"]])
    }

    @Test(arguments: TestFlavour.allCases) func parametersCarryNullBytesAndNoZero(flavour: TestFlavour) throws {
        let connection = try makeConnection(flavour)
        let bytes: [UInt8] = [0, 255, 39, 92]
        let text = bytes.withUnsafeBytes { DatabaseConnection.byteaText($0) }
        #expect(try connection.query("SELECT encode($1::bytea, 'hex'), $2::int", [text, nil]) == [["00ff275c", nil]])
        let error = try databaseError { () throws(DatabaseError) in try connection.query("SELECT $1", ["a\0b"]) }
        #expect(error.description.contains("U+0000"))
    }

    /// An abandoned session must not hold its ledger row until somebody writes to its socket.
    @Test(arguments: TestFlavour.allCases) func aClosedSessionLetsItsLocksGo(flavour: TestFlavour) throws {
        let stop = try WakeEvent()
        let connection = try makeConnection(flavour, stop: stop)
        try connection.execute("BEGIN; LOCK TABLE t")
        let thread = try later(milliseconds: 50) { stop.signal() }
        defer { thread.join() }
        _ = try databaseError { () throws(DatabaseError) in try connection.execute("SELECT pg_sleep(60)") }
        let other = try DatabaseConnection(connection.location)
        try other.execute("SET lock_timeout = '10s'; BEGIN; LOCK TABLE t")
    }
}
