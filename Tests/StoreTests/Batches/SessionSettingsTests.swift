// What a careless administrator sets for a database, a role or the server does not change what this program's sessions do.

import Delivery
import Glibc
import LinuxSystem
import TestSupport
import Testing

@testable import StoreSchema
@testable import Maintenance
@testable import Postgres

@Suite struct SessionSettingsTests {
    private static func show(_ connection: DatabaseConnection, _ name: String) throws -> String? {
        try connection.query("SELECT current_setting($1)", [name]).first?.first ?? nil
    }

    private static func set(_ location: DatabaseLocation, _ settings: [(String, String)]) throws {
        let owner = try DatabaseConnection(location)
        for (name, value) in settings {
            try owner.execute("ALTER DATABASE \(location.database ?? "") SET \(name) = \(value)")
        }
    }

    @Test(arguments: TestFlavour.allCases)
    func whatStatementsMeanIsTheSameWhateverTheDatabaseSays(_ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        try Self.set(
            location,
            [
                ("bytea_output", "escape"), ("quote_all_identifiers", "on"), ("datestyle", "'SQL, DMY'"),
                ("intervalstyle", "sql_standard"), ("timezone", "'Pacific/Kiritimati'"),
                ("standard_conforming_strings", "off"), ("array_nulls", "off"), ("transform_null_equals", "on"),
                ("default_transaction_isolation", "serializable"), ("default_transaction_deferrable", "on"),
                ("extra_float_digits", "-15"), ("exit_on_error", "on"), ("client_min_messages", "error"),
                ("client_encoding", "LATIN1"), ("row_security", "off"), ("session_replication_role", "replica"),
            ])
        let connection = try DatabaseConnection(location, options: ConnectionOptions(isForWriting: true))
        for (name, value) in SessionSettings.meanings + [SessionSettings.triggersFire] {
            #expect(try Self.show(connection, name) == value, "\(name)")
        }
        #expect(!connection.isPooled)
        // The server's own default of a running session may change, too: what the session has set itself stays.
        #expect(try connection.query("SELECT '\\x41'::bytea, ARRAY[NULL]::text[]") == [["\\x41", "{NULL}"]])
    }

    @Test(arguments: TestFlavour.allCases)
    func limitsOfAMillisecondDoNotKeepASessionFromBeginning(_ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        // The first statement of a session loads the extension's library.
        try SchemaManager(DatabaseConnection(location)).apply(daysAhead: 0)
        try Self.set(
            location,
            [
                ("statement_timeout", "'1ms'"), ("lock_timeout", "'1ms'"),
                ("idle_in_transaction_session_timeout", "'1ms'"), ("exit_on_error", "on"),
            ])
        for _ in 0..<20 {
            let connection = try DatabaseConnection(location)
            #expect(try Self.show(connection, "statement_timeout") == "0")
            try connection.inTransaction { () throws(DatabaseError) in
                try connection.execute("SELECT pg_sleep(0.02)")
                usleep(5_000)
            }
        }
    }

    @Test(arguments: [
        ("off", "on"), ("local", "on"), ("remote_write", "on"), ("on", "on"), ("remote_apply", "remote_apply"),
    ])
    func aCommitIsNeverWeakerThanOnOrThanTheOperatorChose(_ chosen: String, _ wanted: String) throws {
        let location = try TestServers.database(.plain)
        try Self.set(location, [("synchronous_commit", chosen)])
        let connection = try DatabaseConnection(location)
        try connection.begin()
        #expect(try Self.show(connection, "synchronous_commit") == wanted)
        try connection.commit()
        // Every batch's transaction.
        try SchemaManager(connection).apply(daysAhead: 0)
        try connection.execute(
            """
            CREATE TABLE seen (value text);
            CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO seen SELECT current_setting('synchronous_commit'); RETURN new; END $$;
            CREATE TRIGGER see BEFORE INSERT ON spillway.batches FOR EACH ROW EXECUTE FUNCTION see()
            """)
        #expect(try SampleBatch(sequence: 1, days: [0], kind: .routing).store(connection) == StoredBatch())
        #expect(try connection.query("SELECT value FROM seen") == [[wanted]])
    }

    /// Who names it in the location means this collector; `off` is never durable.
    @Test(arguments: [("local", "local"), ("off", "on")])
    func aLocationMayChooseACommitThatIsDurableOnItsServer(_ chosen: String, _ wanted: String) throws {
        let location = try TestServers.database(.plain)
        let connection = try DatabaseConnection(
            DatabaseLocation("\(location)&options=-c%20synchronous_commit%3D\(chosen)"))
        try connection.begin()
        #expect(try Self.show(connection, "synchronous_commit") == wanted)
    }

    @Test func anotherFunctionOfASystemsNameIsNotCalled() throws {
        let location = try TestServers.database(.plain)
        let owner = try DatabaseConnection(location)
        try owner.execute(
            """
            CREATE SCHEMA careless;
            CREATE FUNCTION careless.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT 'epoch'::timestamptz $$;
            CREATE TABLE careless.pg_locks ()
            """)
        try Self.set(location, [("search_path", "careless, pg_catalog, \"a, b\", public")])
        let connection = try DatabaseConnection(location)
        #expect(try connection.query("SELECT now() > 'epoch'::timestamptz") == [["t"]])
        #expect(try Self.show(connection, "search_path") == "careless, \"a, b\", public")
        #expect(SessionSettings.searchPath("\"$user\", public").value == "\"$user\", public")
        #expect(SessionSettings.searchPath("\"\"").value == "\"\"")
        #expect(SessionSettings.searchPath("pg_catalog").value == "")
    }

    @Test func aRoleThatCannotLetTheLedgersTriggerFireDoesNotStore() throws {
        let location = try TestServers.database(.plain)
        let role = "role_\(location.database ?? "")"
        let owner = try DatabaseConnection(location)
        try owner.execute("CREATE ROLE \(role) LOGIN; ALTER ROLE \(role) SET session_replication_role = replica")
        let own = try DatabaseLocation("\(location)".replacing("//postgres@", with: "//\(role)@"))
        let error = try databaseError { () throws(DatabaseError) in
            _ = try DatabaseConnection(own, options: ConnectionOptions(isForWriting: true))
        }
        #expect(error.sqlstate == .insufficientPrivilege, "\(error)")
        #expect("\(error)".contains("session_replication_role"), "\(error)")
        try owner.execute("ALTER ROLE \(role) RESET session_replication_role")
        _ = try DatabaseConnection(own, options: ConnectionOptions(isForWriting: true))
    }

    @Test func deadLettersAreWrittenAndReadWhateverTheDatabaseSays() throws {
        let location = try TestServers.database(.plain)
        let owner = try DatabaseConnection(location)
        try SchemaManager(owner).apply(daysAhead: 0)
        try owner.execute("ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%-1')")
        try Self.set(location, [("bytea_output", "escape"), ("array_nulls", "off")])
        let connection = try DatabaseConnection(location)
        #expect(try SampleBatch(sequence: 1, days: [0, 0, 0], kind: .routing).store(connection).deadLetters == [9: 1])
        try owner.execute("ALTER TABLE metrics.routing_metrics DROP CONSTRAINT picky")
        let outcome = try DeadLetterBox(connection).sendAgain(DeadLetterFilter())
        #expect(outcome.recordsStored == 1 && outcome.lettersLeft == 0, "\(outcome)")
    }
}
