// The real servers of the tests: one PostgreSQL of this machine and one TimescaleDB a test process, started when first
// needed, in a temporary folder, stopped and removed at the process's end whatever the tests' outcome. TimescaleDB's Community
// edition has no package: its tests run where TIMESCALEDB_COMMUNITY_URL names a server, whose user may create databases.

import EmbeddedPostgres
import Foundation
import LinuxSystem
import Logging
import Postgres
import StoreSchema
import Synchronization
import Testing

/// The databases that a test can be run on.
package enum TestFlavour: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case plain
    case timescale
    case community

    /// Those that there is a server for.
    package static var allCases: [TestFlavour] { local + (TestServers.communityURL == nil ? [] : [.community]) }
    /// Those that the tests start by themselves.
    package static let local: [TestFlavour] = [.plain, .timescale]

    package var testDescription: String { rawValue }

    package var flavour: Flavour {
        switch self {
        case .plain: .plain
        case .timescale: .timescaleApache
        case .community: .timescaleCommunity
        }
    }
}

/// What is missing on this machine. Tests fail with it: a skipped test proves nothing.
package struct MissingServer: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

package enum TestServers {
    /// Folders for other servers a test starts by itself go here as well.
    package static let folder: Result<String, any Error> = Result {
        var template = Array("/tmp/spillway-store-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemCallError(call: "mkdtemp", code: errno) }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The servers' users walk through it.
        chmod(path, 0o711)
        atexit { TestServers.removeAll() }
        return path
    }

    private static let plain = Result { try start(.plain) }
    private static let timescale = Result { try start(.timescale) }
    private static let running = Mutex<[EmbeddedServer]>([])
    private static let databaseCount = Atomic<Int>(0)

    package static func server(_ flavour: TestFlavour) throws -> EmbeddedServer {
        switch flavour {
        case .plain: try plain.get()
        case .timescale: try timescale.get()
        case .community: throw MissingServer(description: "the Community server is not the tests' own")
        }
    }

    /// A server of TimescaleDB's Community edition, if there is one.
    package static var communityURL: String? {
        let url = ProcessInfo.processInfo.environment["TIMESCALEDB_COMMUNITY_URL"] ?? ""
        return url.isEmpty ? nil : url
    }

    private static let communityDatabases = Mutex<[String]>([])

    /// A new database there, dropped at the process's end.
    private static func communityDatabase() throws -> DatabaseLocation {
        guard let url = communityURL else {
            throw MissingServer(description: "TIMESCALEDB_COMMUNITY_URL is not set")
        }
        let location = try DatabaseLocation(url)
        let number = databaseCount.wrappingAdd(1, ordering: .relaxed).newValue
        let name = "spillway_test_\(getpid())_\(number)"
        let connection = try DatabaseConnection(location)
        try connection.execute("CREATE DATABASE \(name)")
        communityDatabases.withLock { $0.append(name) }
        _ = folder  // Its making registers the removal.
        return location.with(database: name)
    }

    private static func dropCommunityDatabases() {
        let names = communityDatabases.withLock { $0 }
        guard let url = communityURL, !names.isEmpty else { return }
        do {
            let connection = try DatabaseConnection(DatabaseLocation(url))
            for name in names {
                try connection.execute("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
                // Roles belong to the server; the tests end the names of theirs with the database's, as nobody else does.
                let roles = try connection.query(
                    "SELECT quote_ident(rolname) FROM pg_catalog.pg_roles WHERE rolname ~ ('[-_ \"]' || $1 || '\"?$')",
                    [name])
                for role in roles.compactMap({ $0[0] }) { try connection.execute("DROP ROLE \(role)") }
            }
        } catch {
            print("cannot drop the tests' databases and roles on the Community server: \(error)")
        }
    }

    /// The programs, or what to run to have them.
    package static func programs(_ flavour: TestFlavour) throws -> EmbeddedServer.Programs {
        switch flavour {
        case .plain:
            guard let programs = EmbeddedServer.Programs.newestHostPrograms() else {
                throw MissingServer(
                    description: "no PostgreSQL on this machine: run `make test`, or "
                        + ".setup/packages, which installs it")
            }
            return programs
        case .timescale:
            let environment = ProcessInfo.processInfo.environment
            let root = EmbeddedServer.Programs.timescaleRootPath(environment: environment)
            guard access(root, F_OK) == 0, geteuid() == 0 else {
                throw MissingServer(
                    description: "no TimescaleDB in \(root), or not root: run `make test` as root, "
                        + "or .setup/timescaledb, which makes it")
            }
            return .timescaleRoot(root)
        case .community: throw MissingServer(description: "the Community server is not the tests' own")
        }
    }

    private static func start(_ flavour: TestFlavour) throws -> EmbeddedServer {
        let server = try EmbeddedServer(
            directory: "\(folder.get())/\(flavour.rawValue)", programs: programs(flavour), environment: [:],
            usesTimescale: flavour != .plain, isDurable: false, logger: quietLogger)
        try server.start()
        running.withLock { $0.append(server) }
        return server
    }

    /// A new, empty database.
    package static func database(_ flavour: TestFlavour) throws -> DatabaseLocation {
        if flavour == .community { return try communityDatabase() }
        let server = try server(flavour)
        let number = databaseCount.wrappingAdd(1, ordering: .relaxed).newValue
        let connection = try DatabaseConnection(server.location.with(database: "postgres"))
        try connection.execute("CREATE DATABASE test\(number)")
        return server.location.with(database: "test\(number)")
    }

    /// A server of the test's own, which it stops itself.
    package static func ownServer(_ flavour: TestFlavour) throws -> EmbeddedServer {
        let number = databaseCount.wrappingAdd(1, ordering: .relaxed).newValue
        let server = try EmbeddedServer(
            directory: "\(folder.get())/own\(number)", programs: programs(flavour), environment: [:],
            usesTimescale: flavour != .plain, isDurable: false, logger: quietLogger)
        try server.start()
        running.withLock { $0.append(server) }
        return server
    }

    /// Ends a server in whatever way and starts it again, on the same port.
    package static func restart(_ server: EmbeddedServer, immediate: Bool) throws {
        if immediate, let process = server.processID {
            kill(process, SIGQUIT)
            while server.isAlive { usleep(10_000) }
        }
        server.stop()
        try server.start()
    }

    /// What `--database` takes. The tests' servers have no password on their sockets.
    package static func url(_ location: DatabaseLocation) -> String { "\(location)" }

    /// The database of an embedded server in `folder`, whoever runs it.
    package static func embeddedLocation(_ folder: String) throws -> DatabaseLocation {
        let port = try String(contentsOfFile: folder + "/port", encoding: .utf8).filter(\.isNumber)
        return try DatabaseLocation(
            "host=\(folder)/socket port=\(port) user=postgres dbname=\(EmbeddedServer.databaseName)")
    }

    private static func removeAll() {
        dropCommunityDatabases()
        for server in running.withLock({ $0 }) { server.stop() }
        HostPostgres.stopAll()
        guard case .success(let path) = folder else { return }
        var paths = [path]
        // The empty folders that the directories were mounted on.
        if case .success(.timescaleRoot(let root)) = Result(catching: { try programs(.timescale) }) {
            paths.append(root + path)
        }
        for path in paths where access(path, F_OK) == 0 {
            do { try FileManager.default.removeItem(atPath: path) } catch { print("cannot remove \(path): \(error)") }
        }
    }
}

/// Only what must be seen: the tests look at errors themselves.
package let quietLogger: Logger = {
    var logger = Logger(label: "tests")
    logger.logLevel = .warning
    return logger
}()

/// Runs `body` and gives the error it throws.
package func databaseError(
    _ body: () throws(DatabaseError) -> Void, sourceLocation: SourceLocation = #_sourceLocation
) throws -> DatabaseError {
    do { try body() } catch { return error }
    Issue.record("no error was thrown", sourceLocation: sourceLocation)
    throw MissingServer(description: "no error was thrown")
}

/// Runs `body` on a thread of its own after some time.
package func later(milliseconds: UInt32, _ body: @escaping @Sendable () -> Void) throws -> NamedThread {
    try NamedThread(name: "later") {
        usleep(milliseconds * 1_000)
        body()
    }
}
