// A PostgreSQL of this machine that a test sets up by itself: access rules, certificates, standbys. The embedded server is not
// made for these.

import Foundation
import LinuxSystem
import Postgres
import Synchronization
import Testing

/// One server with a folder and a TCP port of its own. For the test's thread; it ends with the test process at the latest.
package final class HostPostgres {
    private static let count = Atomic<Int>(0)
    private static let children = Mutex<[ChildProcess]>([])
    private static let programMilliseconds: Int32 = 120_000
    private static let startSeconds = 60.0

    /// Belongs to the server's user; what the server must read goes here.
    package let folder: String
    package let port: UInt16
    private let bin: String
    private let user: (id: uid_t, group: gid_t)
    private var child: ChildProcess?
    private var keeper: NamedThread?

    package var data: String { folder + "/data" }

    /// Makes a new cluster, or a standby by a base backup. Whoever comes over loopback is trusted.
    ///
    /// - Parameters:
    ///   - name: what a standby is called in the primary's `synchronous_standby_names`.
    ///   - port: that of a server which is gone; nil is a free one.
    package init(standbyOf primary: HostPostgres? = nil, name: String = "standby", port: UInt16? = nil) throws {
        guard case .host(let binDirectory) = try TestServers.programs(.plain) else {
            throw MissingServer(description: "the plain flavour is not a PostgreSQL of this machine")
        }
        bin = binDirectory
        if geteuid() == 0 {
            let entry = try #require(getpwnam("postgres"), "no user postgres")
            user = (entry.pointee.pw_uid, entry.pointee.pw_gid)
        } else {
            user = (geteuid(), getegid())
        }
        let number = Self.count.wrappingAdd(1, ordering: .relaxed).newValue
        folder = try TestServers.folder.get() + "/host\(number)"
        self.port = try port ?? Self.freePort()
        mkdir(folder, 0o700)
        chown(folder, user.id, user.group)
        if let primary {
            let source = "host=127.0.0.1 port=\(primary.port) user=postgres application_name=\(name)"
            try run(
                "pg_basebackup", ["-D", data, "-d", source, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
        } else {
            try run(
                "initdb",
                [
                    "--pgdata=\(data)", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
                    "--no-sync",
                ])
        }
    }

    deinit { stop(SIGQUIT) }

    package func location(user: String = "postgres", database: String = "postgres") throws -> DatabaseLocation {
        try DatabaseLocation("postgresql://\(user)@127.0.0.1:\(port)/\(database)")
    }

    /// A new database, with the user postgres.
    package func makeDatabase(_ name: String) throws -> DatabaseLocation {
        try DatabaseConnection(location()).execute("CREATE DATABASE \(name)")
        return try location(database: name)
    }

    /// Replaces `pg_hba.conf`.
    package func setAccessRules(_ lines: [String]) throws {
        try write(lines.joined(separator: "\n") + "\n", to: "data/pg_hba.conf")
        child?.signal(SIGHUP)
    }

    /// Writes a file that only the server's user may read.
    @discardableResult
    package func write(_ text: String, to name: String) throws -> String {
        let path = "\(folder)/\(name)"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        chmod(path, 0o600)
        chown(path, user.id, user.group)
        return path
    }

    /// Starts the server and waits until it takes connections.
    ///
    /// - Parameter settings: on its command line, so that a copy of its data does not have them.
    package func start(_ settings: [String] = []) throws {
        precondition(child == nil, "the server runs already")
        let fixed = [
            "listen_addresses=127.0.0.1", "port=\(port)", "unix_socket_directories=\(folder)", "fsync=off",
            "max_wal_senders=10", "timezone=UTC", "spillway.timescaledb=off",
        ]
        let arguments = ["-D", data] + (fixed + settings).flatMap { ["-c", $0] }
        let deadline = Date().addingTimeInterval(Self.startSeconds)
        try launch(arguments)
        while true {
            // Backends of a killed server may still hold its memory.
            if let child, try child.wait(timeoutMilliseconds: 50) != nil {
                guard Date() < deadline else { throw MissingServer(description: "no start: \(logText)") }
                try launch(arguments)
            }
            do {
                _ = try DatabaseConnection(location())
                return
            } catch {
                guard (error as? DatabaseError)?.isTransient == true, Date() < deadline else { throw error }
            }
        }
    }

    /// Ends it: SIGINT in order, SIGQUIT at once, SIGKILL as a crash.
    package func stop(_ signal: Int32 = SIGINT) {
        child?.signal(signal)
        keeper?.join()
        child = nil
        keeper = nil
    }

    /// Ends those that still run, before their folders are removed.
    static func stopAll() {
        for child in children.withLock({ $0 }) {
            child.signal(SIGQUIT)
            do { _ = try child.wait(timeoutMilliseconds: 5_000) } catch { print("a server does not end: \(error)") }
        }
    }

    /// Makes a standby the primary.
    package func promote() throws { try run("pg_ctl", ["promote", "-D", data, "--wait"]) }

    package var logText: String { String(decoding: FileManager.default.contents(atPath: log) ?? Data(), as: UTF8.self) }

    private var log: String { folder + "/server.log" }

    private var identity: [String] {
        geteuid() == 0 ? ["--reuid=\(user.id)", "--regid=\(user.group)", "--clear-groups"] : []
    }

    private static let environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "TZ": "UTC"]

    private func openLog() throws -> Int32 {
        Int32(
            try checkedCall("open", object: log) {
                Int(open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode_t(0o600)))
            })
    }

    /// Runs one of PostgreSQL's programs to its end.
    package func run(_ program: String, _ arguments: [String]) throws {
        let output = try openLog()
        defer { close(output) }
        let child = try ChildProcess(
            arguments: ["setpriv"] + identity + ["--", "\(bin)/\(program)"] + arguments, environment: Self.environment,
            output: output)
        guard try child.wait(timeoutMilliseconds: Self.programMilliseconds) == .exited(code: 0) else {
            child.signal(SIGKILL)
            throw MissingServer(description: "\(program) \(arguments) failed: \(logText)")
        }
    }

    /// From a thread that lives as long as the server: the kernel ends it when that thread is gone.
    private func launch(_ arguments: [String]) throws {
        keeper?.join()
        let output = try openLog()
        defer { close(output) }
        let started = try WakeEvent()
        let outcome = Outcome()
        let command = ["setpriv"] + identity + ["--pdeathsig", "INT", "--", "\(bin)/postgres"] + arguments
        keeper = try NamedThread(name: "host-postgres") {
            do {
                let child = try ChildProcess(arguments: command, environment: Self.environment, output: output)
                outcome.result.withLock { $0 = .success(child) }
                started.signal()
                _ = try child.wait()
            } catch {
                outcome.result.withLock { if $0 == nil { $0 = .failure(error) } }
                started.signal()
            }
        }
        started.wait(timeoutMilliseconds: -1)
        let result = outcome.result.withLock { $0 }
        let child = try #require(result).get()
        self.child = child
        Self.children.withLock { $0.append(child) }
    }

    private final class Outcome: Sendable {
        let result = Mutex<Result<ChildProcess, any Error>?>(nil)
    }

    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        return try bindToFreePort(descriptor)
    }
}

/// Binds a TCP socket to a free port of 127.0.0.1.
package func bindToFreePort(_ descriptor: Int32) throws -> UInt16 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    try withUnsafeMutablePointer(to: &address) {
        try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
            try checkedCall("bind") { Int(bind(descriptor, pointer, length)) }
            try checkedCall("getsockname") { Int(getsockname(descriptor, pointer, &length)) }
        }
    }
    return UInt16(bigEndian: address.sin_port)
}
