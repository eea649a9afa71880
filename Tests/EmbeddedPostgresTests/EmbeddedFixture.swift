// What the tests of the embedded server share.

import Foundation
import LinuxSystem
import TestSupport

@testable import EmbeddedPostgres

enum EmbeddedFixture {
    /// - Parameter programs: nil for all of the machine, found as the collector finds them.
    static func server(
        _ name: String, programs: EmbeddedServer.Programs?, environment: [String: String] = [:]
    ) throws -> EmbeddedServer {
        try EmbeddedServer(
            directory: "\(TestServers.folder.get())/\(name)", programs: programs, environment: environment,
            isDurable: false, logger: quietLogger)
    }

    /// A start that is refused.
    static func refusal(_ body: () throws -> Void) throws -> String {
        do { try body() } catch let error as EmbeddedServerError { return "\(error)" }
        throw MissingServer(description: "no error was thrown")
    }

    /// Complete under its name, and under no other one: a server that is ending may remove the file at any moment.
    static func write(_ text: String, to path: String, owner: UInt32) throws {
        let temporary = path + ".test"
        try text.write(toFile: temporary, atomically: false, encoding: .utf8)
        try checkedCall("chown", object: temporary) { Int(chown(temporary, owner, owner)) }
        try checkedCall("chmod", object: temporary) { Int(chmod(temporary, 0o600)) }
        try checkedCall("rename", object: path) { Int(rename(temporary, path)) }
    }

    /// A process of the server's user that is not a server; it ends with the test at the latest.
    static func stranger(user: UInt32) throws -> ChildProcess {
        let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
        defer { close(null) }
        let identity = geteuid() == 0 ? ["--reuid=\(user)", "--regid=\(user)", "--clear-groups"] : []
        return try ChildProcess(
            arguments: ["setpriv"] + identity + ["sleep", "120"], environment: ["PATH": "/usr/bin:/bin"], output: null)
    }

    static func end(_ process: ChildProcess) throws {
        process.signal(SIGKILL)
        _ = try process.wait()
    }

    /// The lock files of a server that has ended, with the number of another process.
    static func writeStaleLocks(_ server: EmbeddedServer, number: String) throws {
        let directory = server.directory
        let port = try String(contentsOfFile: directory.port, encoding: .utf8).filter(\.isNumber)
        let text = "\(number)\n\(directory.data)\n1700000000\n\(port)\n\(directory.socket)\n127.0.0.1\n"
        let owner = directory.owner.user
        try write(text, to: directory.data + "/postmaster.pid", owner: owner)
        try write(text, to: "\(directory.socket)/.s.PGSQL.\(port).lock", owner: owner)
    }

    static func size(_ path: String) throws -> Int {
        var status = stat()
        try checkedCall("stat", object: path) { Int(stat(path, &status)) }
        return Int(status.st_size)
    }

    /// A folder of programs whose initdb stops once it has written files, and then makes `flag`. It has a session of its own,
    /// since the kernel continues a stopped process whose parent ends, unless their sessions differ.
    static func programsWithStoppingInitdb(_ folder: String, flag: String) throws -> String {
        let stopping = "\(try TestServers.folder.get())/stopping"
        try FileManager.default.createDirectory(
            atPath: stopping, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        let script = """
            #!/bin/sh
            setsid '\(folder)/initdb' "$@" &
            while [ ! -f "${1#--pgdata=}/PG_VERSION" ]; do :; done
            kill -STOP $!
            : > '\(flag)'
            wait

            """
        try script.write(toFile: "\(stopping)/initdb", atomically: false, encoding: .utf8)
        try checkedCall("chmod", object: stopping) { Int(chmod("\(stopping)/initdb", 0o755)) }
        try checkedCall("symlink", object: stopping) { Int(symlink("\(folder)/postgres", "\(stopping)/postgres")) }
        return stopping
    }

    /// Processes of that name with `text` on their command lines.
    static func processes(named name: String, with text: String) -> [Int32] {
        readableFolderNames("/proc").compactMap { Int32($0) }.filter { pid in
            readSmallFile("/proc/\(pid)/comm") == name + "\n"
                && readSmallFile("/proc/\(pid)/cmdline")?.contains(text) == true
        }
    }
}
