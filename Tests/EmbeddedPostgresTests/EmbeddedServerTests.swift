import Foundation
import LinuxSystem
import Postgres
import TestSupport
import Testing

@testable import EmbeddedPostgres

@Suite(.serialized) struct EmbeddedServerTests {
    private func makeServer(_ flavour: TestFlavour, _ name: String) throws -> EmbeddedServer {
        try EmbeddedServer(
            directory: "\(TestServers.folder.get())/\(name)-\(flavour.rawValue)",
            programs: TestServers.programs(flavour), environment: [:], isDurable: false, logger: quietLogger)
    }

    private func serverError(
        _ body: () throws(EmbeddedServerError) -> Void
    ) throws -> EmbeddedServerError {
        do { try body() } catch { return error }
        throw MissingServer(description: "no error was thrown")
    }

    private func mode(_ path: String) throws -> UInt32 {
        var status = stat()
        try checkedCall("stat", object: path) { Int(stat(path, &status)) }
        return status.st_mode & 0o777
    }

    @Test(arguments: TestFlavour.local) func dataSurvivesARestart(flavour: TestFlavour) throws {
        let server = try makeServer(flavour, "restart")
        try server.start()
        defer { server.stop() }
        #expect(server.isAlive)
        do {
            let connection = try DatabaseConnection(server.location)
            try connection.execute("CREATE TABLE t AS SELECT 42 AS a")
            let owner = try connection.query("SELECT current_database()")[0][0]
            #expect(owner == "capibara6_metrics")
        }
        let port = server.port
        server.stop()
        #expect(!server.isAlive)
        try server.start()
        #expect(server.port == port, "addresses given to others stay right")
        #expect(try DatabaseConnection(server.location).query("SELECT a FROM t") == [["42"]])
        server.stop()
        // Nothing but files is left.
        #expect(try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8).contains("restart-") == false)
    }

    @Test(arguments: TestFlavour.local) func thePrivateFilesArePrivateAndTCPWantsThePassword(
        flavour: TestFlavour
    ) throws {
        let server = try TestServers.server(flavour)
        let folder = server.directory.path
        #expect(try mode(folder) == 0o700 && mode(folder + "/socket") == 0o700 && mode(folder + "/data") == 0o700)
        #expect(try mode(server.passwordFile) == 0o600)
        let password = try String(contentsOfFile: server.passwordFile, encoding: .utf8).filter { !$0.isWhitespace }
        #expect(password.count == 24)
        let tcp = try DatabaseLocation(
            "postgresql://postgres:\(password)@127.0.0.1:\(server.port)/\(EmbeddedServer.databaseName)")
        #expect(try DatabaseConnection(tcp).query("SELECT 1") == [["1"]])
        let pid = try #require(server.processID)
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let ids = status.split(separator: "\n").first { $0.hasPrefix("Uid:") }
        #expect(ids?.split(separator: "\t").dropFirst().allSatisfy { $0 != "0" } == true, "never as root")
    }

    @Test(arguments: TestFlavour.local) func aSecondCollectorIsRefused(flavour: TestFlavour) throws {
        let first = try TestServers.server(flavour)
        let second = try EmbeddedServer(
            directory: first.directory.path, programs: first.programs, environment: [:], logger: quietLogger)
        let error = try serverError { () throws(EmbeddedServerError) in try second.start() }
        #expect(
            error
                == .directoryInUse(
                    path: first.directory.path, holder: "the collector with process id \(getpid())"))
        #expect(first.isAlive)
    }

    @Test(arguments: TestFlavour.local) func aKilledServerStartsAgain(flavour: TestFlavour) throws {
        let server = try makeServer(flavour, "killed")
        try server.start()
        defer { server.stop() }
        try DatabaseConnection(server.location).execute("CREATE TABLE t AS SELECT 42 AS a")
        kill(try #require(server.processID), SIGKILL)
        for _ in 0..<100 where server.isAlive { usleep(20_000) }
        #expect(!server.isAlive)
        server.stop()
        try server.start()
        #expect(try DatabaseConnection(server.location).query("SELECT a FROM t") == [["42"]])
    }

    @Test(arguments: TestFlavour.local) func theServerEndsWithItsCollectorAndTheNextOneTakesOver(
        flavour: TestFlavour
    ) async throws {
        let server = try makeServer(flavour, "orphan")
        let path = server.directory.path
        let isPlain = flavour == .plain
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, isPlain = isPlain as Bool] in
            let server = try EmbeddedServer(
                directory: path, programs: TestServers.programs(isPlain ? .plain : .timescale), environment: [:],
                isDurable: false, logger: quietLogger)
            try server.start()
            try DatabaseConnection(server.location).execute("CREATE TABLE t AS SELECT 42 AS a")
            kill(getpid(), SIGKILL)
        }
        // Takes over at once, also while the other one is still on its way down.
        try server.start()
        defer { server.stop() }
        #expect(try DatabaseConnection(server.location).query("SELECT a FROM t") == [["42"]])
    }

    @Test(arguments: TestFlavour.local) func theServerEndsWithItsCollector(flavour: TestFlavour) async throws {
        let path = try makeServer(flavour, "death").directory.path
        let isPlain = flavour == .plain
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, isPlain = isPlain as Bool] in
            let server = try EmbeddedServer(
                directory: path, programs: TestServers.programs(isPlain ? .plain : .timescale), environment: [:],
                isDurable: false, logger: quietLogger)
            try server.start()
            let pid = "\(server.processID ?? 0)"
            try pid.write(toFile: path + "/test.pid", atomically: true, encoding: .utf8)
            kill(getpid(), SIGKILL)
        }
        let pid = try #require(Int32(String(contentsOfFile: path + "/test.pid", encoding: .utf8)))
        #expect(pid > 1)
        for _ in 0..<200 where access("/proc/\(pid)", F_OK) == 0 { usleep(50_000) }
        #expect(access("/proc/\(pid)", F_OK) != 0, "the server outlived its collector")
    }

    @Test func dataOfAnotherMajorVersionIsRefused() throws {
        let server = try makeServer(.plain, "version")
        try server.start()
        server.stop()
        try "9.6\n".write(toFile: server.directory.data + "/PG_VERSION", atomically: false, encoding: .utf8)
        let error = try serverError { () throws(EmbeddedServerError) in try server.start() }
        guard case .versionMismatch(_, "9.6", _) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(!error.description.contains("\n") && error.description.contains("pg_dump"))
    }

    @Test func aServerThatCannotStartShowsItsLog() throws {
        let server = try makeServer(.plain, "broken")
        try server.start()
        server.stop()
        let file = server.directory.data + "/postgresql.conf"
        let settings = try String(contentsOfFile: file, encoding: .utf8)
        try (settings + "shared_buffers = many\n").write(toFile: file, atomically: false, encoding: .utf8)
        let error = try serverError { () throws(EmbeddedServerError) in try server.start() }
        #expect(error.description.contains("shared_buffers") && !error.description.contains("\n"))
        #expect(!server.isAlive)
    }

    @Test func aFolderOfSomebodyElseIsLeftAlone() throws {
        let path = try TestServers.folder.get() + "/documents"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        chmod(path, 0o755)
        try "x".write(toFile: path + "/letter", atomically: false, encoding: .utf8)
        let server = try EmbeddedServer(
            directory: path, programs: TestServers.programs(.plain), environment: [:], logger: quietLogger)
        let error = try serverError { () throws(EmbeddedServerError) in try server.start() }
        #expect(error.description.contains("not empty"))
        #expect(try mode(path) == 0o755)
    }

    @Test func directoriesThatCannotWorkAreRefusedInOneLine() throws {
        let base = try TestServers.folder.get()
        let long = base + "/" + String(repeating: "x", count: 80)
        let shut = base + "/shut"
        try FileManager.default.createDirectory(atPath: shut, withIntermediateDirectories: false)
        chmod(shut, 0o700)
        let cases = [(long, "107"), (shut + "/db", "may not enter \(shut)"), ("relative", "absolute")]
        for (path, reason) in cases {
            let server = try EmbeddedServer(
                directory: path, programs: TestServers.programs(.plain), environment: [:], logger: quietLogger)
            let error = try serverError { () throws(EmbeddedServerError) in try server.start() }
            #expect(error.description.contains(reason) && !error.description.contains("\n"))
        }
    }

    @Test func theStateFolderIsTheDefault() {
        let path = EmbeddedServer.defaultDirectory(environment: ["XDG_STATE_HOME": "/x", "HOME": "/h"])
        #expect(path == "/x/spillway/database")
    }
}
