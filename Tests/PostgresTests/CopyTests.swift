import Foundation
import LinuxSystem
import TestSupport
import Testing

@testable import Postgres

@Suite struct CopyTests {
    private static let columns = ["a", "b"]

    private func connection(
        _ flavour: TestFlavour, silenceTimeoutMilliseconds: Int = 30_000, stop: WakeEvent? = nil
    ) throws -> (DatabaseConnection, DatabaseLocation) {
        let location = try TestServers.database(flavour)
        var options = ConnectionOptions()
        options.silenceTimeoutMilliseconds = silenceTimeoutMilliseconds
        // Waits for locks are standstills like others here.
        options.lockTimeoutMilliseconds = 0
        let connection = try DatabaseConnection(location, options: options, stop: stop)
        try connection.execute("CREATE TABLE rows (a bigint CHECK (a <> 13), b text)")
        return (connection, location)
    }

    private func send(_ connection: DatabaseConnection, _ bytes: [UInt8]) throws(DatabaseError) {
        let result = bytes.withUnsafeBytes { bytes -> Result<Void, DatabaseError> in
            do throws(DatabaseError) { return .success(try connection.sendCopyData(bytes)) } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    @Test(arguments: TestFlavour.allCases) func rowsArriveOnceCommitted(flavour: TestFlavour) throws {
        let (connection, _) = try connection(flavour)
        var copy = CopyBytes()
        for number in 0..<10 { copy.appendRow(Int64(number), Array("ä\(number)".utf8)) }
        copy.end()
        try connection.begin()
        try connection.beginCopy(into: "rows", columns: Self.columns)
        // Single bytes: where a call ends means nothing.
        for byte in copy.bytes { try send(connection, [byte]) }
        #expect(try connection.finishCopy() == 10)
        #expect(connection.isInTransaction)
        try connection.commit()
        #expect(!connection.isInTransaction)
        #expect(try connection.query("SELECT b FROM rows WHERE a = $1", ["9"]) == [["ä9"]])
    }

    @Test(arguments: TestFlavour.allCases) func theRefusedRowIsNamed(flavour: TestFlavour) throws {
        let (connection, _) = try connection(flavour)
        var copy = CopyBytes()
        for number in 11..<20 { copy.appendRow(Int64(number), []) }
        copy.end()
        try connection.begin()
        try connection.beginCopy(into: "rows", columns: Self.columns)
        let error = try databaseError { () throws(DatabaseError) in
            try send(connection, copy.bytes)
            try connection.finishCopy()
        }
        #expect(error.sqlstate == SQLState("23514"))
        #expect(error.copyLine == 3)
        #expect(!error.isTransient)
        #expect(connection.isUsable && connection.isInTransaction)
        try connection.rollback()
        #expect(try connection.query("SELECT count(*) FROM rows") == [["0"]])
    }

    @Test(arguments: TestFlavour.allCases) func theRowIsNamedBelowATriggersLines(flavour: TestFlavour) throws {
        let (connection, _) = try connection(flavour)
        try connection.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN IF new.a = 2 THEN RAISE EXCEPTION 'not two'; END IF; RETURN new; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION refuse()
            """)
        var copy = CopyBytes()
        for number in 1...3 { copy.appendRow(Int64(number), []) }
        copy.end()
        try connection.beginCopy(into: "rows", columns: Self.columns)
        let error = try databaseError { () throws(DatabaseError) in
            try send(connection, copy.bytes)
            try connection.finishCopy()
        }
        #expect(error.copyLine == 2)
        #expect(try connection.query("SELECT 1") == [["1"]])
    }

    @Test(arguments: TestFlavour.allCases) func anEarlyErrorEndsSendingEarly(flavour: TestFlavour) throws {
        let (connection, _) = try connection(flavour)
        var copy = CopyBytes()
        copy.appendRow(13, [])
        try connection.begin()
        try connection.beginCopy(into: "rows", columns: Self.columns)
        try send(connection, copy.bytes)
        // The row is only checked once its buffer is full, so send until the error comes: it must, long before the end.
        var row = CopyBytes()
        row.appendRow(1, [UInt8](repeating: 0x61, count: 1 << 16))
        let bytes = Array(row.bytes.dropFirst(19))
        var calls = 0
        let error = try databaseError { () throws(DatabaseError) in
            while calls < 10_000 {
                calls += 1
                try send(connection, bytes)
            }
        }
        #expect(error.sqlstate == SQLState("23514"))
        #expect(error.copyLine == 1)
        #expect(calls < 5_000, "655 MB would have been sent for nothing")
        try connection.rollback()
        #expect(try connection.query("SELECT count(*) FROM rows") == [["0"]])
    }

    @Test(arguments: TestFlavour.allCases) func aHugePayloadPassesASlowServer(flavour: TestFlavour) throws {
        // The server takes longer in all than the silence timeout, but never pauses that long.
        let (connection, _) = try connection(flavour, silenceTimeoutMilliseconds: 2_000)
        try connection.execute(
            """
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN IF new.a % 16 = 0 THEN PERFORM pg_sleep(0.2); END IF; RETURN new; END $$;
            CREATE TRIGGER slow BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION slow()
            """)
        var copy = CopyBytes()
        let text = [UInt8](repeating: 0x61, count: 256 * 1024)
        for number in 0..<256 { copy.appendRow(Int64(100 + number), text) }
        copy.end()
        let start = monotonicNanoseconds()
        try connection.beginCopy(into: "rows", columns: Self.columns)
        try send(connection, copy.bytes)
        #expect(try connection.finishCopy() == 256)
        #expect(monotonicNanoseconds() - start > 2_200_000_000)
        #expect(try connection.query("SELECT sum(length(b)) FROM rows") == [["\(256 * 256 * 1024)"]])
    }

    @Test(arguments: TestFlavour.allCases) func aStandstillMeetsTheTimeout(flavour: TestFlavour) throws {
        let (connection, location) = try connection(flavour, silenceTimeoutMilliseconds: 300)
        let other = try DatabaseConnection(location)
        try other.execute("BEGIN; LOCK TABLE rows IN ACCESS EXCLUSIVE MODE")
        let error = try databaseError { () throws(DatabaseError) in
            try connection.beginCopy(into: "rows", columns: Self.columns)
        }
        #expect(error.kind == .timedOut(milliseconds: 300))
        #expect(error.isTransient && !connection.isUsable)
        // Nothing is tried on a session in an unknown state.
        let next = try databaseError { () throws(DatabaseError) in try connection.execute("SELECT 1") }
        guard case .connectionLost = next.kind else {
            Issue.record("\(next)")
            return
        }
    }

    @Test(arguments: TestFlavour.allCases) func stopInterruptsACopyThatIsStuck(flavour: TestFlavour) throws {
        let stop = try WakeEvent()
        let (connection, _) = try connection(flavour, stop: stop)
        try connection.execute(
            """
            CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(60); RETURN new; END $$;
            CREATE TRIGGER sleep BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION sleep()
            """)
        try connection.beginCopy(into: "rows", columns: Self.columns)
        var copy = CopyBytes()
        for number in 100..<164 { copy.appendRow(Int64(number), [UInt8](repeating: 0x61, count: 1 << 18)) }
        let thread = try later(milliseconds: 200) { stop.signal() }
        defer { thread.join() }
        let start = monotonicNanoseconds()
        // 16 MiB that the server does not take: had libpq taken them, its memory would grow with every batch.
        let error = try databaseError { () throws(DatabaseError) in try send(connection, copy.bytes) }
        #expect(error.kind == .cancelled)
        #expect(monotonicNanoseconds() - start < 10_000_000_000)
    }

    @Test(arguments: TestFlavour.allCases) func anAbandonedCopyLeavesTheSessionUsable(flavour: TestFlavour) throws {
        let (connection, _) = try connection(flavour)
        var copy = CopyBytes()
        copy.appendRow(1, [])
        try connection.begin()
        try connection.beginCopy(into: "rows", columns: Self.columns)
        try send(connection, copy.bytes)
        try connection.rollback()
        #expect(try connection.query("SELECT count(*) FROM rows") == [["0"]])
    }

    @Test(arguments: TestFlavour.allCases) func aBackendThatIsTerminatedDuringACopyIsSeen(flavour: TestFlavour) throws {
        let (connection, location) = try connection(flavour)
        let pid = try connection.query("SELECT pg_backend_pid()")[0][0]
        try connection.beginCopy(into: "rows", columns: Self.columns)
        try DatabaseConnection(location).query("SELECT pg_terminate_backend($1::int, 5000)", [pid])
        var copy = CopyBytes()
        copy.appendRow(1, [])
        copy.end()
        let error = try databaseError { () throws(DatabaseError) in
            try send(connection, copy.bytes)
            try connection.finishCopy()
        }
        #expect(error.isTransient)
        #expect(error.sqlstate == .adminShutdown)
        #expect(!connection.isUsable)
    }
}
