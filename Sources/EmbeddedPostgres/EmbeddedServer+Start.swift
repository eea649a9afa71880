// Starting: directory, lock, data, what an earlier server left, the process, and the database in it.

import Glibc
import LinuxSystem
import Postgres
import Synchronization

extension EmbeddedServer {
    /// Makes the directory and its database on first use, starts the server and waits until it accepts connections.
    ///
    /// - Throws: `EmbeddedServerError`, one line; nothing runs then.
    public func start() throws(EmbeddedServerError) {
        precondition(state.withLock { $0.child == nil && $0.locks.isEmpty }, "the embedded server was started twice")
        let made = try directory.prepare(root: installation.root ?? "", hasData: state.withLock { $0.hasRun })
        let locks = try directory.takeLock()
        state.withLock { $0.locks = locks }
        do {
            try directory.makeContents()
            try cluster.prepare()
            let deadline = monotonicNanoseconds() + UInt64(Self.startSeconds) * 1_000_000_000
            try endLeftover(deadline: deadline)
            try startServer(deadline: deadline)
            try makeDatabase()
            try checkLibrary()
            state.withLock { $0.hasRun = true }
            directory.mark(logger)
        } catch {
            stop()
            directory.remove(made)
            throw error
        }
        logger.info("embedded database started", metadata: ["location": "\(location)", "log": "\(logFile)"])
    }

    /// A start can fail for what passes by itself: another program took the port, backends of a killed server have not ended,
    /// or a server whose collector was killed before it asked for a signal at that death began only now.
    private func startServer(deadline: UInt64) throws(EmbeddedServerError) {
        while true {
            let port = try freePort()
            let logBegin = directory.log.end
            let child = try launch(port: port)
            do {
                try waitUntilReady(child, logBegin: logBegin, deadline: deadline)
                try Files.write("\(port)\n", to: directory.port, mode: 0o600, owner: directory.owner)
                return
            } catch {
                guard case .programFailed(_, _, let log) = error, monotonicNanoseconds() < deadline,
                    Self.passes(log)
                else { throw error }
                usleep(500_000)
                try endLeftover(deadline: deadline)
            }
        }
    }

    private static func passes(_ log: String) -> Bool {
        let end = log.split(whereSeparator: \.isNewline).suffix(3).joined()
        return ["still in use", "already exists", "could not create any TCP/IP sockets"].contains { end.contains($0) }
    }

    /// Starts the process from a thread that lives until it ends.
    private func launch(port: UInt16) throws(EmbeddedServerError) -> ChildProcess {
        let command = try cluster.serverCommand(port: port)
        let outcome = SpawnOutcome()
        let keeper: NamedThread
        do {
            let started = try WakeEvent()
            keeper = try NamedThread(name: "embedded-db") { [log = directory.log, logger] in
                do {
                    let pipe = try EmbeddedLogPipe(log, logger: logger)
                    let child = try ChildProcess(
                        arguments: command, environment: EmbeddedCluster.environment, output: pipe.input)
                    pipe.closeInput()
                    outcome.result.withLock { $0 = .success(child) }
                    started.signal()
                    try pipe.copy(until: child)
                    _ = try child.wait()
                } catch {
                    let failure = error as? EmbeddedServerError ?? .system("\(error)")
                    outcome.result.withLock { if $0 == nil { $0 = .failure(failure) } }
                    started.signal()
                    logger.error("the embedded database cannot be watched: \(error)")
                }
            }
            started.wait(timeoutMilliseconds: -1)
        } catch {
            throw .system(error.description)
        }
        return try adopt(outcome, keeper: keeper, port: port)
    }

    private func adopt(
        _ outcome: SpawnOutcome, keeper: NamedThread, port: UInt16
    ) throws(EmbeddedServerError) -> ChildProcess {
        let child: ChildProcess?
        do {
            child = try outcome.result.withLock { $0 }?.get()
        } catch {
            keeper.join()
            throw error
        }
        let earlier = state.withLock { state in
            defer {
                state.child = child
                state.keeper = keeper
                state.port = port
            }
            return state.keeper
        }
        // The keeper of an attempt that failed has nothing more to wait for.
        earlier?.join()
        guard let child else { preconditionFailure("a keeper thread signals after it has stored its result") }
        return child
    }

    private func waitUntilReady(
        _ child: ChildProcess, logBegin: Int, deadline: UInt64
    ) throws(EmbeddedServerError) {
        let maintenance = location.with(database: "postgres")
        var deadline = deadline
        while true {
            if let status = try exitStatus(of: child) {
                joinKeeper()
                throw .programFailed(
                    program: "the embedded database", status: "\(status)", log: directory.log.lastLines(after: logBegin)
                )
            }
            do {
                _ = try DatabaseConnection(maintenance)
                return
            } catch {
                guard error.isTransient else { throw .system(error.description) }
                // It answers, but recovers from a crash: that takes as long as it takes, and ending it would begin it anew.
                if error.sqlstate == .cannotConnectNow {
                    deadline = max(deadline, monotonicNanoseconds() + UInt64(Self.startSeconds) * 1_000_000_000)
                }
            }
            guard monotonicNanoseconds() < deadline else {
                throw .notReady(seconds: Self.startSeconds, log: directory.log.lastLines(after: logBegin))
            }
        }
    }

    /// Nil when it still runs after a moment.
    private func exitStatus(of child: ChildProcess) throws(EmbeddedServerError) -> ChildProcess.ExitStatus? {
        do { return try child.wait(timeoutMilliseconds: 50) } catch { throw .system(error.description) }
    }

    private func makeDatabase() throws(EmbeddedServerError) {
        do {
            let connection = try DatabaseConnection(location.with(database: "postgres"))
            let rows = try connection.query(
                "SELECT FROM pg_catalog.pg_database WHERE datname = $1", [Self.databaseName])
            if rows.isEmpty { try connection.execute("CREATE DATABASE \(Self.databaseName)") }
        } catch {
            throw .system(error.description)
        }
    }

    /// The library that the database needs may be missing, or be another version of TimescaleDB. Its loader would refuse this
    /// connection's first statement, so it is turned off.
    private func checkLibrary() throws(EmbeddedServerError) {
        var keywords = location.keywords
        keywords["options"] = "-c timescaledb.disable_load=on"
        let rows: [[String?]]
        do {
            let connection = try DatabaseConnection(DatabaseLocation(keywords: keywords))
            rows = try connection.query(
                """
                SELECT e.extversion FROM pg_catalog.pg_extension e, pg_catalog.pg_config c
                WHERE e.extname = 'timescaledb' AND c.name = 'PKGLIBDIR'
                AND (pg_catalog.pg_stat_file(c.setting || '/timescaledb-' || e.extversion || '.so', true)).size IS NULL
                """)
        } catch {
            throw .system(error.description)
        }
        if let version = rows.first?[0] {
            throw .libraryMissing(
                path: directory.path, version: version, server: (installation.root ?? "") + installation.bin,
                root: timescaleRoot)
        }
    }

    /// The port of the last run where it is free, so that addresses given to other programs stay right; else any.
    private func freePort() throws(EmbeddedServerError) -> UInt16 {
        if access(directory.port, F_OK) == 0,
            let last = UInt16(try Files.text(of: directory.port).filter { !$0.isWhitespace }),
            let port = try bindLoopback(last)
        {
            return port
        }
        guard let port = try bindLoopback(0) else { throw .system("no free TCP port on 127.0.0.1") }
        return port
    }

    /// Nil when the port is taken. The port is free again on return; `startServer` lives with losing it meanwhile.
    private func bindLoopback(_ port: UInt16) throws(EmbeddedServerError) -> UInt16? {
        let descriptor = Int32(
            try Files.call("socket", "127.0.0.1") {
                Int(socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
            })
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        return isBound ? UInt16(bigEndian: address.sin_port) : nil
    }
}

/// What the keeper thread hands to its starter.
private final class SpawnOutcome: Sendable {
    package let result = Mutex<Result<ChildProcess, EmbeddedServerError>?>(nil)
}
