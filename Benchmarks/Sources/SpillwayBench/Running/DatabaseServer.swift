// A real database for the benchmarks: the collector's own embedded one, with its settings, fsync included.

import Foundation
import Logging
import TimescaleStore

/// A server that is stopped with its owner.
final class DatabaseServer {
    enum Flavour: CaseIterable {
        case timescale, plain

        var name: String {
            switch self {
            case .timescale: "TimescaleDB"
            case .plain: "PostgreSQL"
            }
        }

        /// Nil where this machine has no such server, or not for this user.
        var programs: EmbeddedServer.Programs? {
            switch self {
            case .timescale:
                let root = EmbeddedServer.Programs.timescaleRootPath(environment: ProcessInfo.processInfo.environment)
                return access(root, F_OK) == 0 && geteuid() == 0 ? .timescaleRoot(root) : nil
            case .plain: return .newestHostPrograms()
            }
        }
    }

    let flavour: Flavour
    private let server: EmbeddedServer
    /// Removed behind the server's end.
    private let folder: BenchFolder

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
        server = try EmbeddedServer(
            directory: "\(folder.path)/\(flavour.name)", programs: programs, environment: [:], logger: log)
        try server.start()
        do {
            try SchemaManager(connect()).apply()
        } catch {
            server.stop()
            throw error
        }
    }

    deinit { server.stop() }

    func connect() throws -> DatabaseConnection { try DatabaseConnection(server.location) }

    /// What `--database` takes, and psql: its sockets want no password.
    var url: String { "\(server.location)" }

    /// The same port again after `stop`.
    func start() throws { try server.start() }
    func stop() { server.stop() }

    /// Of the server with all of its processes, those that have ended too.
    func cpuSeconds() throws(BenchError) -> Double {
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
