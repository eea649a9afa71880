import EmbeddedPostgres
import Foundation
import LinuxSystem
import TestSupport
import Testing

@testable import Postgres

@Suite struct ConnectTests {
    private func location(_ server: EmbeddedServer, _ user: String, _ password: String, _ database: String) throws
        -> DatabaseLocation
    {
        try DatabaseLocation("postgresql://\(user):\(password)@127.0.0.1:\(server.port)/\(database)")
    }

    private func isOneLineWithout(_ secret: String, _ error: DatabaseError) -> Bool {
        !error.description.contains("\n") && !"\(error)".contains(secret) && !String(reflecting: error).contains(secret)
    }

    @Test(arguments: TestFlavour.local) func wrongPasswordIsNamed(flavour: TestFlavour) throws {
        let server = try TestServers.server(flavour)
        let wrong = try location(server, "postgres", "canary1", "capibara6_metrics")
        let error = try databaseError { () throws(DatabaseError) in _ = try DatabaseConnection(wrong) }
        #expect(error.sqlstate == .invalidPassword)
        #expect(!error.isTransient)
        #expect(error.description.contains("127.0.0.1:\(server.port)/capibara6_metrics"))
        #expect(error.description.contains("TIMESCALEDB_PASSWORD"))
        #expect(isOneLineWithout("canary1", error))
    }

    @Test(arguments: TestFlavour.local) func missingDatabaseIsNamed(flavour: TestFlavour) throws {
        let missing = try TestServers.server(flavour).location.with(database: "nowhere")
        let error = try databaseError { () throws(DatabaseError) in _ = try DatabaseConnection(missing) }
        #expect(error.sqlstate == .databaseMissing)
        #expect(!error.isTransient)
        #expect(error.description.contains("createdb"))
        #expect(isOneLineWithout("canary", error))
    }

    @Test(arguments: TestFlavour.local) func missingUserIsNamed(flavour: TestFlavour) throws {
        let server = try TestServers.server(flavour)
        let folder = URL(fileURLWithPath: server.passwordFile).deletingLastPathComponent().path
        let nobody = try DatabaseLocation("host=\(folder)/socket port=\(server.port) user=nobody dbname=postgres")
        let error = try databaseError { () throws(DatabaseError) in _ = try DatabaseConnection(nobody) }
        #expect(error.sqlstate == .invalidAuthorization)
        #expect(error.description.contains("createuser"))
        #expect(isOneLineWithout("canary", error))
    }

    @Test(arguments: TestFlavour.local) func missingRightsAreNamed(flavour: TestFlavour) throws {
        let server = try TestServers.server(flavour)
        let database = try TestServers.database(flavour)
        let owner = try DatabaseConnection(database)
        let name = "weak_\(database.database ?? "")"
        try owner.execute("CREATE TABLE secret (a int); CREATE ROLE \(name) LOGIN PASSWORD 'canary2'")
        let weak = try DatabaseConnection(location(server, name, "canary2", database.database ?? ""))
        let error = try databaseError { () throws(DatabaseError) in try weak.execute("SELECT * FROM secret") }
        #expect(error.sqlstate == .insufficientPrivilege)
        #expect(!error.isTransient)
        #expect(isOneLineWithout("canary2", error))
        #expect(weak.isUsable)

        try owner.execute("REVOKE CONNECT ON DATABASE \(database.database ?? "") FROM PUBLIC")
        let again = try location(server, name, "canary2", database.database ?? "")
        let refused = try databaseError { () throws(DatabaseError) in _ = try DatabaseConnection(again) }
        #expect(refused.sqlstate == .insufficientPrivilege)
        #expect(refused.description.contains("grant CONNECT"))
    }

    @Test func unreachableServerIsTransientAndOneLine() throws {
        let nowhere = try DatabaseLocation("postgresql://u:canary3@localhost:1/d")
        let error = try databaseError { () throws(DatabaseError) in _ = try DatabaseConnection(nowhere) }
        #expect(error.sqlstate == nil)
        #expect(error.isTransient)
        #expect(error.description.contains("postgresql://u:***@localhost:1/d"))
        #expect(isOneLineWithout("canary3", error))
    }

    @Test func aServerThatNeverAnswersMeetsTheDeadline() throws {
        let silent = try SilentServer()
        var options = ConnectionOptions()
        options.connectTimeoutMilliseconds = 200
        let location = try DatabaseLocation("postgresql://u@127.0.0.1:\(silent.port)/d")
        let start = monotonicNanoseconds()
        let error = try databaseError { () throws(DatabaseError) in
            _ = try DatabaseConnection(location, options: options)
        }
        #expect(error.description.contains("no answer within 200 ms"))
        #expect(monotonicNanoseconds() - start < 5_000_000_000)
    }

    @Test func stopInterruptsConnecting() throws {
        let silent = try SilentServer()
        let stop = try WakeEvent()
        let thread = try later(milliseconds: 100) { stop.signal() }
        defer { thread.join() }
        let location = try DatabaseLocation("postgresql://u@127.0.0.1:\(silent.port)/d")
        let error = try databaseError { () throws(DatabaseError) in _ = try DatabaseConnection(location, stop: stop) }
        #expect(error.kind == .cancelled)
    }

    @Test(arguments: TestFlavour.allCases) func warningsReachTheClosureAndNoticesDoNot(flavour: TestFlavour) throws {
        var warnings: [ServerReport] = []
        let connection = try DatabaseConnection(TestServers.database(flavour), onWarning: { warnings.append($0) })
        try connection.execute("DO $$ BEGIN RAISE NOTICE 'n'; RAISE WARNING 'w'; END $$")
        #expect(warnings.map(\.message) == ["w"])
    }
}
