import Foundation
import LinuxSystem
import Postgres
import TestSupport
import Testing

@testable import EmbeddedPostgres

@Suite(.serialized) struct EmbeddedServerLogTests {
    private static let bytesMax = 4 << 20

    private func logText(_ server: EmbeddedServer) throws -> String {
        try String(contentsOfFile: server.logFile, encoding: .utf8)
    }

    @Test(arguments: TestFlavour.local) func noRecordsTextIsInTheLog(flavour: TestFlavour) throws {
        let server = try EmbeddedFixture.server(
            "log-\(flavour.rawValue)", programs: TestServers.programs(flavour))
        try server.start()
        let connection = try DatabaseConnection(server.location)
        try connection.execute(
            "CREATE TABLE t (a text CHECK (a <> a), b jsonb); CREATE TABLE u (a text PRIMARY KEY)")
        let secret = "secret" + String(repeating: "x", count: 500)
        let refused = [
            "INSERT INTO t VALUES ('\(secret)')", "INSERT INTO t (b) VALUES ('\(secret)')",
            "INSERT INTO u VALUES ('\(secret)'), ('\(secret)')",
        ]
        for _ in 0..<500 {
            for statement in refused {
                _ = try databaseError { () throws(DatabaseError) in try connection.execute(statement) }
            }
            _ = try databaseError { () throws(DatabaseError) in
                try connection.query("INSERT INTO t VALUES ($1)", [secret])
            }
        }
        server.stop()
        let text = try logText(server)
        // Not in the macro, which prints the text.
        let (namesCause, hasText) = (text.contains("violates check constraint"), text.contains("secret"))
        #expect(namesCause && !hasText)
        // A line for each.
        #expect(text.utf8.count < 500_000)
    }

    @Test func theLogIsBoundedWhileTheServerRuns() throws {
        let server = try EmbeddedFixture.server("rotation", programs: TestServers.programs(.plain))
        try server.start()
        let old = String(repeating: "from before ", count: Self.bytesMax / 8)
        server.stop()
        try old.write(toFile: server.logFile, atomically: false, encoding: .utf8)
        try server.start()
        #expect(try EmbeddedFixture.size(server.logFile) < 100_000, "a larger file is an earlier version's")
        let connection = try DatabaseConnection(server.location)
        for _ in 0..<3 {
            try connection.execute(
                "DO $$ BEGIN FOR i IN 1..5000 LOOP RAISE LOG '% %', i, repeat('x', 1000); END LOOP; END $$")
            #expect(try EmbeddedFixture.size(server.logFile) <= Self.bytesMax)
        }
        #expect(try EmbeddedFixture.size(server.logFile + ".1") <= Self.bytesMax)
        #expect(try EmbeddedFixture.size(server.logFile + ".1") > Self.bytesMax / 2)
        // An operator's own rotation is not a failure.
        try FileManager.default.removeItem(atPath: server.logFile)
        try connection.execute(
            "DO $$ BEGIN FOR i IN 1..9000 LOOP RAISE LOG '% %', i, repeat('x', 1000); END LOOP; END $$")
        server.stop()
        let hasEnd = try logText(server).contains("database system is shut down")
        #expect(hasEnd, "the last lines are there")
    }
}
