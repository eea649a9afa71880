// What the server is asked to watch over, so that no session keeps its locks for hours.

import Foundation
import LinuxSystem
import TestSupport
import Testing

@testable import Postgres

@Suite struct SessionLimitsTests {
    private func settings(_ connection: DatabaseConnection) throws -> [String: String] {
        let rows = try connection.query(
            """
            SELECT name, setting FROM pg_settings WHERE name LIKE '%timeout' OR name LIKE 'tcp%' OR name LIKE 'client_conn%'
            """)
        return Dictionary(uniqueKeysWithValues: rows.map { ($0[0] ?? "", $0[1] ?? "") })
    }

    /// Over TCP, where the server reads its keepalive settings back from the socket.
    private func overTCP(_ more: String = "") throws -> DatabaseLocation {
        let server = try TestServers.server(.plain)
        let password = try String(contentsOfFile: server.passwordFile, encoding: .utf8).filter { !$0.isWhitespace }
        return try DatabaseLocation(
            "host=127.0.0.1 port=\(server.port) user=postgres password=\(password) dbname=postgres \(more)")
    }

    @Test func theServerWatchesOverEachSession() throws {
        let found = try settings(DatabaseConnection(overTCP()))
        let wanted = [
            "statement_timeout": "0", "lock_timeout": "25000", "idle_in_transaction_session_timeout": "60000",
            "tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3",
            "tcp_user_timeout": "60000", "client_connection_check_interval": "2000",
        ]
        for (name, value) in wanted { #expect(found[name] == value, "\(name)") }
    }

    @Test func whatTheLocationSetsGoesBeforeIt() throws {
        let found = try settings(
            DatabaseConnection(
                overTCP("options='-c lock_timeout=7s -c tcp_keepalives_idle=99 -c statement_timeout=8s'")))
        #expect(found["lock_timeout"] == "7000")
        #expect(found["tcp_keepalives_idle"] == "99")
        #expect(found["statement_timeout"] == "8000")
        #expect(found["idle_in_transaction_session_timeout"] == "60000")
    }

    @Test(arguments: TestFlavour.allCases) func aWaitForALockEndsAndTheSessionStays(flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let holder = try DatabaseConnection(location)
        try holder.execute("CREATE TABLE t (a int)")
        try holder.execute("BEGIN; LOCK TABLE t")
        var options = ConnectionOptions()
        options.silenceTimeoutMilliseconds = 1_200
        let connection = try DatabaseConnection(location, options: options)
        let error = try databaseError { () throws(DatabaseError) in try connection.execute("SELECT * FROM t") }
        #expect(error.sqlstate == .lockNotAvailable && error.isTransient && connection.isUsable)
    }

    @Test(arguments: TestFlavour.allCases)
    func aSessionThatStandsStillInsideOfATransactionIsEnded(flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        var options = ConnectionOptions()
        options.idleInTransactionMilliseconds = 200
        let connection = try DatabaseConnection(location, options: options)
        try connection.execute("CREATE TABLE t (a int)")
        try connection.execute("BEGIN; LOCK TABLE t")
        // The lock is free again although nobody has closed anything.
        try DatabaseConnection(location).execute("SET lock_timeout = '10s'; BEGIN; LOCK TABLE t")
        let error = try databaseError { () throws(DatabaseError) in try connection.commit() }
        #expect(error.isTransient && !connection.isUsable)
    }

    /// Between two calls the server works for a second and a half, in pieces.
    private func slowCopy(_ connection: DatabaseConnection) throws(DatabaseError) {
        var copy = CopyBytes()
        for number in 0..<15 { copy.appendRow(Int64(number), [UInt8](repeating: 0x61, count: 1 << 17)) }
        copy.end()
        try connection.beginCopy(into: "slow", columns: ["a", "b"])
        let result = copy.bytes.withUnsafeBytes { bytes -> Result<Void, DatabaseError> in
            do throws(DatabaseError) { return .success(try connection.sendCopyData(bytes)) } catch {
                return .failure(error)
            }
        }
        try result.get()
        try connection.finishCopy()
    }

    @Test(arguments: TestFlavour.allCases)
    func aTimeoutOfTheRoleDoesNotEndACopyThatMoves(flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let owner = try DatabaseConnection(location)
        try owner.execute(
            """
            CREATE TABLE slow (a bigint, b text);
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(0.1); RETURN new; END $$;
            CREATE TRIGGER slow BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION slow()
            """)
        try owner.execute("ALTER DATABASE \(location.database ?? "") SET statement_timeout = '700ms'")
        try slowCopy(DatabaseConnection(location))
        #expect(try owner.query("SELECT count(*) FROM slow") == [["15"]])

        // Where it is wanted it holds.
        var impatient = ConnectionOptions()
        impatient.statementTimeoutMilliseconds = 300
        let connection = try DatabaseConnection(location, options: impatient)
        let error = try databaseError { () throws(DatabaseError) in try slowCopy(connection) }
        #expect(error.sqlstate == .queryCanceled && connection.isUsable)
    }

    @Test func aCommitThatWaitsForAStandbyIsNotReportedAsDone() throws {
        let server = try HostPostgres()
        defer { server.stop(SIGQUIT) }
        try server.start()
        let owner = try DatabaseConnection(server.location())
        try owner.execute("CREATE TABLE t (a int)")
        try owner.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        try owner.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
        let stop = try WakeEvent()
        let thread = try later(milliseconds: 1_500) { stop.signal() }
        defer { thread.join() }
        // No statement timeout either makes a COMMIT of it that the standby does not have.
        var options = ConnectionOptions()
        options.statementTimeoutMilliseconds = 300
        let connection = try DatabaseConnection(server.location(), options: options, stop: stop)
        try connection.execute("BEGIN")
        try connection.execute("INSERT INTO t VALUES (1)")
        let error = try databaseError { () throws(DatabaseError) in try connection.commit() }
        #expect(error.kind == .cancelled && error.isCommitOutcomeUnknown)
    }

    @Test func lanesAreToldApart() throws {
        let location = try TestServers.database(.plain)
        let names = ["spillway lane 0", "spillway keeper"]
        let open = try names.map { try DatabaseConnection(location, options: ConnectionOptions(applicationName: $0)) }
        let rows = try DatabaseConnection(location).query(
            "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        #expect(Set(rows.map { $0[0] ?? "" }) == Set(names))
        withExtendedLifetime(open) {}
    }
}
