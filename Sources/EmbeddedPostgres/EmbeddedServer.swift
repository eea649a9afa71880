// A private PostgreSQL, with TimescaleDB where it can be had, that lives as long as the collector.
//
// Invariants:
// - The server is a direct child, started by a thread that outlives it: the kernel sends it INT when the collector
//   dies in whatever way, so a collector that is gone leaves no server behind.
// - A directory has one collector: the lock is taken before anything is made in it and kept until `stop` is done.

import Glibc
import LinuxSystem
import Logging
import Postgres
import Synchronization

/// Creates and runs the server in a directory. The methods may be called from any thread, one at a time.
public final class EmbeddedServer: Sendable {
    /// The database that `start` makes.
    public static let databaseName = "capibara6_metrics"
    /// How long a start may take, a recovery after a crash included.
    package static let startSeconds = 60
    /// How long a fast shutdown may take before it becomes an immediate one.
    package static let stopMilliseconds: Int32 = 30_000

    package struct State: Sendable {
        var child: ChildProcess?
        var keeper: NamedThread?
        var port: UInt16 = 0
        var locks: [Int32] = []
        /// Survives `stop`: a database that has run exists.
        var hasRun = false
    }

    package let directory: EmbeddedDirectory
    package let installation: EmbeddedInstallation
    package let cluster: EmbeddedCluster
    package let timescaleRoot: String
    package let logger: Logger
    package let state = Mutex(State())

    /// Nothing is started or made yet.
    ///
    /// - Parameters:
    ///   - path: the server's directory, absolute.
    ///   - programs: nil for all of this machine. The version is that of the data, or the newest for a new database.
    ///   - usesTimescale: false for tables with native partitions, whatever the programs offer.
    ///   - isDurable: false for tests: without fsync, so a crash of the machine loses the database.
    public init(
        directory given: String, programs: Programs? = nil, environment: [String: String], usesTimescale: Bool = true,
        isDurable: Bool = true, logger: Logger
    ) throws(EmbeddedServerError) {
        let path: String
        do throws(LinkError) {
            // The server's data may be on another disk.
            path = try followingLink(given)
        } catch {
            throw .directoryNotUsable(path: given, reason: "\(error)")
        }
        let data = try EmbeddedData(in: path)
        installation = try Programs.choose(programs, path: path, data: data, environment: environment)
        timescaleRoot = Programs.timescaleRootPath(environment: environment)
        directory = EmbeddedDirectory(path: path, owner: try installation.user())
        cluster = EmbeddedCluster(
            directory: directory, installation: installation, usesTimescale: usesTimescale, isDurable: isDurable,
            logger: logger)
        self.logger = logger
    }

    /// Where the database is kept unless the operator names a directory.
    public static func defaultDirectory(environment: [String: String]) -> String {
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return state + "/spillway/database" }
        if geteuid() == 0 { return "/var/lib/spillway/database" }
        return (environment["HOME"] ?? "/var/tmp") + "/.local/state/spillway/database"
    }

    /// Where the server of a directory was when it was started last, for programs beside its collector.
    ///
    /// - Throws: where there is none, or where this user may not look.
    public static func lastLocation(directory: String) throws(EmbeddedServerError) -> DatabaseLocation {
        let text = try Files.text(of: directory + "/port").filter { !$0.isWhitespace }
        guard let port = UInt16(text) else {
            throw .directoryNotUsable(path: directory, reason: "its port is '\(text.prefix(20))'")
        }
        return location(socket: directory + "/socket", port: port)
    }

    /// The database, over the unix socket. Valid between `start` and `stop`.
    public var location: DatabaseLocation { Self.location(socket: directory.socket, port: port) }

    private static func location(socket: String, port: UInt16) -> DatabaseLocation {
        DatabaseLocation(keywords: [
            "host": socket, "port": "\(port)", "user": "postgres", "dbname": databaseName,
            // PGHOSTADDR and PGSSLMODE of the process are meant for another server.
            "hostaddr": "", "sslmode": "disable",
        ])
    }

    /// The TCP port on 127.0.0.1, for other programs: user postgres with the password in `passwordFile`.
    public var port: UInt16 { state.withLock { $0.port } }
    public var passwordFile: String { directory.password }
    public var logFile: String { directory.log.path }

    /// The source of the programs that run the server.
    public var programs: Programs {
        installation.root.map { .timescaleRoot($0) } ?? .host(binDirectory: installation.bin)
    }

    /// The server's process id while it runs.
    public var processID: Int32? { state.withLock { $0.child?.id } }

    /// Whether the server's process is there. A server that died stays down until `stop` and `start`.
    public var isAlive: Bool {
        guard let child = state.withLock({ $0.child }) else { return false }
        do { return try child.wait(timeoutMilliseconds: 0) == nil } catch { return false }
    }

    /// Stops the server and waits for its end: first a fast shutdown, after a time an immediate one, from which the
    /// next start recovers. Does nothing when it is not running.
    public func stop() {
        if let child = state.withLock({ $0.child }) {
            for (signal, patience) in [(SIGINT, Self.stopMilliseconds), (SIGQUIT, 5_000), (SIGKILL, 5_000)] {
                child.signal(signal)
                do {
                    if try child.wait(timeoutMilliseconds: patience) != nil { break }
                    logger.warning("the embedded database did not stop", metadata: ["signal": "\(signal)"])
                } catch {
                    logger.error("the embedded database cannot be waited for: \(error)")
                    break
                }
            }
        }
        joinKeeper()
        state.withLock { state in
            for lock in state.locks { close(lock) }
            state = State(hasRun: state.hasRun)
        }
    }

    /// Waits until an ended server's last lines are in its log.
    package func joinKeeper() {
        let keeper = state.withLock { state in
            defer { state.keeper = nil }
            return state.keeper
        }
        keeper?.join()
    }
}
