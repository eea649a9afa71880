// Making the data directory once, and the settings of the server in it.

import Glibc
import LinuxSystem
import Logging

package struct EmbeddedCluster: Sendable {
    package let directory: EmbeddedDirectory
    package let installation: EmbeddedInstallation
    package let usesTimescale: Bool
    package let isDurable: Bool
    package let logger: Logger

    /// Longer than initdb takes on a slow disk.
    private static let initdbMilliseconds: Int32 = 120_000
    /// PostgreSQL's variables of the collector's environment must not reach its server.
    package static let environment = [
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "TZ": "UTC",
    ]

    /// Makes the data directory if there is none. Only for the holder of the lock.
    ///
    /// - Throws: also for data of another major version.
    package func prepare() throws(EmbeddedServerError) {
        removeUnfinished()
        guard let data = try EmbeddedData(in: directory.path) else { return try create() }
        if let server = installation.majorVersion, server != data.majorVersion {
            throw .versionMismatch(path: directory.path, data: data.majorVersion, server: server)
        }
    }

    /// What interrupted starts left. Their initdb may still be ending and write into it, so a failure is tried again by the
    /// next start.
    private func removeUnfinished() {
        for name in readableFolderNames(directory.path) where name.hasPrefix("data.new") {
            let folder = "\(directory.path)/\(name)"
            do {
                try run(["rm", "-rf", "--", folder])
            } catch {
                logger.notice(
                    "an unfinished database stays until the next start: \(error)", metadata: ["folder": "\(folder)"])
            }
        }
    }

    private func create() throws(EmbeddedServerError) {
        // An initdb that ends removes what it created, by this name: no other one may have the same.
        let unfinished = directory.data + ".new-" + String(UInt64.random(in: 0...UInt64.max), radix: 16)
        var arguments = [
            "--pgdata=\(unfinished)", "--username=postgres", "--pwfile=\(directory.password)", "--encoding=UTF8",
            "--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256", "--data-checksums",
        ]
        if !isDurable { arguments.append("--no-sync") }
        try run(try installation.command("initdb", arguments, user: directory.owner, directory: directory.path))
        try Files.write(Self.accessRules, to: unfinished + "/pg_hba.conf", mode: 0o600, owner: directory.owner)
        let settings = try Files.text(of: unfinished + "/postgresql.conf") + Self.settings
        try Files.write(settings, to: unfinished + "/postgresql.conf", mode: 0o600, owner: directory.owner)
        try Files.call("rename", directory.data) { Int(rename(unfinished, directory.data)) }
    }

    private func run(_ command: [String]) throws(EmbeddedServerError) {
        try directory.log.removeOversized()
        let log = try directory.log.open()
        let begin = directory.log.end
        defer { close(log) }
        do {
            let child = try ChildProcess(arguments: command, environment: Self.environment, output: log)
            let program = command.last { $0.hasSuffix("/initdb") } ?? command[0]
            guard let status = try child.wait(timeoutMilliseconds: Self.initdbMilliseconds) else {
                child.signal(SIGKILL)
                _ = try child.wait()
                throw EmbeddedServerError.programFailed(
                    program: program, status: "a time-out", log: directory.log.lastLines(after: begin))
            }
            guard status == .exited(code: 0) else {
                throw EmbeddedServerError.programFailed(
                    program: program, status: "\(status)", log: directory.log.lastLines(after: begin))
            }
        } catch let error as EmbeddedServerError {
            throw error
        } catch {
            throw .system("\(error)")
        }
    }

    /// The command of the server. What must hold is here and not in the file, which belongs to the operator.
    package func serverCommand(port: UInt16) throws(EmbeddedServerError) -> [String] {
        var settings = [
            "listen_addresses=127.0.0.1", "port=\(port)", "unix_socket_directories=\(directory.socket)",
            "unix_socket_permissions=0700",
        ]
        settings += Self.logSettings
        if installation.hasTimescale {
            settings += ["shared_preload_libraries=timescaledb", "timescaledb.telemetry_level=off"]
        }
        // Every program that comes to this server reads it. The library stays: an older database may need it.
        if !usesTimescale { settings.append("spillway.timescaledb=off") }
        if !isDurable { settings += ["fsync=off", "full_page_writes=off"] }
        let arguments = ["-D", directory.data] + settings.flatMap { ["-c", $0] }
        return try installation.command("postgres", arguments, user: directory.owner, directory: directory.path)
    }

    /// Errors say no more than what was wrong: their details, statements and parameters are the records of the users.
    private static let logSettings = [
        "logging_collector=off", "log_destination=stderr", "log_error_verbosity=terse", "log_min_error_statement=panic",
        "log_parameter_max_length=0", "log_parameter_max_length_on_error=0",
    ]

    /// The socket's folder is private, so who gets there is trusted; over TCP the password counts.
    private static let accessRules = """
        # Written by Spillway when it made the database.
        local all all trust
        host all all 127.0.0.1/32 scram-sha-256
        host all all ::1/128 scram-sha-256

        """

    /// For two cores and a stream of COPYs.
    private static let settings = """

        # Written by Spillway when it made the database; change what you like.
        timezone = 'UTC'
        log_timezone = 'UTC'
        shared_buffers = 256MB
        max_connections = 50
        max_wal_size = 2GB
        # A batch of late rows makes a chunk for each of its days, under several locks each, in one transaction.
        max_locks_per_transaction = 1024
        wal_compression = on
        checkpoint_completion_target = 0.9
        log_checkpoints = off
        log_line_prefix = '%m [%p] '

        """
}
