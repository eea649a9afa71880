// pgbouncer in front of a server of the tests, in transaction mode: each transaction may be in another session of the server.

import Foundation
import LinuxSystem
import Postgres
import Testing

package final class PoolerProcess {
    private static let waitSeconds = 20.0

    package let port: UInt16
    private let database: String
    private let child: ChildProcess
    private let log: String

    /// Starts it on a free port of 127.0.0.1, as the user of the server's socket, and waits until it takes connections.
    ///
    /// - Parameters:
    ///   - url: of a server over its socket, without a password: `TestServers.url`.
    ///   - sessions: sessions with the server, at most.
    package init(url: String, sessions: Int) throws {
        let host = try #require(url.firstMatch(of: /host=([^&]+)/)?.1)
        let serverPort = try #require(url.firstMatch(of: /port=([0-9]+)/)?.1)
        database = String(try #require(url.firstMatch(of: /\/([^\/?]+)\?/)?.1))
        var socket = stat()
        try checkedCall("stat", object: String(host)) { Int(stat(String(host), &socket)) }
        let descriptor = Int32(
            try checkedCall("socket") { Int(Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)) })
        port = try bindToFreePort(descriptor)
        close(descriptor)
        // Without `self` in the closures, which is not there yet.
        let number = port
        let folder = try TestServers.folder.get() + "/pooler\(number)"
        mkdir(folder, 0o700)
        let log = folder + "/log"
        self.log = log
        let settings = """
            [databases]
            * = host=\(host) port=\(serverPort) user=postgres
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = \(number)
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            default_pool_size = \(sessions)
            max_client_conn = 200

            """
        try Data(settings.utf8).write(to: URL(fileURLWithPath: folder + "/pooler.ini"))
        for path in [folder, folder + "/pooler.ini"] { chown(path, socket.st_uid, socket.st_gid) }
        let output = Int32(
            try checkedCall("open", object: log) {
                Int(open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode_t(0o600)))
            })
        defer { close(output) }
        let identity =
            geteuid() == 0 ? ["--reuid=\(socket.st_uid)", "--regid=\(socket.st_gid)", "--clear-groups"] : []
        child = try ChildProcess(
            arguments: ["setpriv"] + identity + ["--", "pgbouncer", folder + "/pooler.ini"],
            environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"], output: output)
        let deadline = Date().addingTimeInterval(Self.waitSeconds)
        while true {
            do {
                _ = try DatabaseConnection(location())
                return
            } catch {
                guard Date() < deadline, try child.wait(timeoutMilliseconds: 50) == nil else {
                    child.signal(SIGKILL)
                    throw MissingServer(description: "no pgbouncer: \(error) \(logText)")
                }
            }
        }
    }

    deinit { stop() }

    package func stop() {
        child.signal(SIGKILL)
        do { _ = try child.wait(timeoutMilliseconds: 5_000) } catch { print("pgbouncer does not end: \(error)") }
    }

    /// The server's database through it.
    package var url: String { "postgresql://postgres@127.0.0.1:\(port)/\(database)" }

    package func location() throws -> DatabaseLocation { try DatabaseLocation(url) }

    package var logText: String {
        String(decoding: FileManager.default.contents(atPath: log) ?? Data(), as: UTF8.self)
    }
}
