// A real database for the benchmarks: the collector's own embedded one, with its settings, fsync included.

import EmbeddedPostgres
import Foundation
import Logging
import Postgres
import StoreSchema

/// A server that is stopped with its owner.
final class DatabaseServer {
    enum Flavour: CaseIterable {
        case timescale, plain
        /// One that somebody else runs, named by TIMESCALEDB_COMMUNITY_URL.
        case community

        static let allCases = [Flavour.timescale, .plain]

        var name: String {
            switch self {
            case .timescale: "TimescaleDB"
            case .plain: "PostgreSQL"
            case .community: "TimescaleDB Community"
            }
        }

        /// Nil where this machine has no such server, or not for this user.
        var programs: EmbeddedServer.Programs? {
            switch self {
            case .timescale:
                let root = EmbeddedServer.Programs.timescaleRootPath(environment: ProcessInfo.processInfo.environment)
                return access(root, F_OK) == 0 && geteuid() == 0 ? .timescaleRoot(root) : nil
            case .plain: return .newestHostPrograms()
            case .community: return nil
            }
        }
    }

    let flavour: Flavour
    private let server: EmbeddedServer?
    private let location: DatabaseLocation
    /// Removed behind the server's end.
    private let folder: BenchFolder?
    /// The database that was made on somebody else's server, and where that is.
    private let foreign: (name: String, home: DatabaseLocation)?

    /// - Returns: nil where there is no such server, which is said.
    static func start(_ flavour: Flavour, in folder: BenchFolder) throws -> DatabaseServer? {
        guard let programs = flavour.programs else {
            say("\(flavour.name) is left out: there is none on this machine, or this user may not run it")
            return nil
        }
        return try DatabaseServer(flavour, programs, folder)
    }

    private init(_ flavour: Flavour, _ programs: EmbeddedServer.Programs, _ folder: BenchFolder) throws {
        self.flavour = flavour
        self.folder = folder
        var log = Logger(label: "bench")
        log.logLevel = .warning
        let server = try EmbeddedServer(
            directory: "\(folder.path)/\(flavour.name)", programs: programs, environment: [:], logger: log)
        try server.start()
        self.server = server
        location = server.location
        foreign = nil
        do {
            try SchemaManager(connect()).apply()
        } catch {
            server.stop()
            throw error
        }
    }

    /// A database of its own on a server of TimescaleDB's Community edition.
    ///
    /// - Returns: nil where there is no such server, which is said.
    static func startCommunity() throws -> DatabaseServer? {
        guard let url = ProcessInfo.processInfo.environment["TIMESCALEDB_COMMUNITY_URL"], !url.isEmpty else {
            say("TimescaleDB's Community edition is left out: TIMESCALEDB_COMMUNITY_URL names no server")
            return nil
        }
        return try DatabaseServer(community: DatabaseLocation(url))
    }

    private init(community home: DatabaseLocation) throws {
        flavour = .community
        server = nil
        folder = nil
        let name = "spillway_bench_\(getpid())"
        foreign = (name, home)
        location = home.with(database: name)
        try DatabaseConnection(home).execute("CREATE DATABASE \(name)")
        try SchemaManager(connect()).apply()
    }

    deinit {
        server?.stop()
        if let foreign {
            do {
                try DatabaseConnection(foreign.home).execute("DROP DATABASE \(foreign.name) WITH (FORCE)")
            } catch {
                say("the database \(foreign.name) is left behind: \(error)")
            }
        }
    }

    func connect() throws -> DatabaseConnection { try DatabaseConnection(location) }

    /// What `--database` takes, and psql: its sockets want no password.
    var url: String { "\(location)" }

    /// The same port again after `stop`.
    func start() throws { try server?.start() }
    func stop() { server?.stop() }

    /// Of the server with all of its processes, those that have ended too; 0 of somebody else's.
    func cpuSeconds() throws(BenchError) -> Double {
        guard let server else { return 0 }
        guard let process = server.processID, let seconds = familyCPUSeconds(process) else {
            throw BenchError("the database server has ended")
        }
        return seconds
    }

    /// Which it is, for the note.
    func version() throws -> String {
        let connection = try connect()
        let rows = try connection.query(
            """
            SELECT current_setting('server_version_num')::int / 10000,
                (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescaledb')
            """)
        let row = rows.first ?? []
        let server = "PostgreSQL \(row.first.flatMap { $0 } ?? "?")"
        return row.last.flatMap { $0 }.map { "TimescaleDB \($0) on \(server)" } ?? server
    }
}
