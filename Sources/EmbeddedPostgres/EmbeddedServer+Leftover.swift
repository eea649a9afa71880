// What an earlier collector left: servers on their way down, and their lock files. PostgreSQL refuses to start while the number in
// a lock file is in use, whatever process has it, and numbers are used again: in containers at every start.
//
// Invariant: a lock file is removed only by the holder of the directory's lock, when no server process works in `data`.

import Glibc
import LinuxSystem

extension EmbeddedServer {
    /// Ends the servers of this directory and removes their lock files.
    package func endLeftover(deadline: UInt64) throws(EmbeddedServerError) {
        var isSignalled = false
        while true {
            // Read before the processes: while such a file exists, no server that begins meanwhile can replace it.
            let files = blockingLockFiles()
            let processes = ServerProcesses(data: directory.data, user: directory.owner.user)
            guard processes.areVisible else { return }
            guard let first = processes.ids.first else { return try remove(files) }
            if !isSignalled {
                logger.notice("ending the database server of an earlier run", metadata: ["pid": "\(first)"])
                for pid in processes.postmasters { kill(pid, SIGINT) }
                isSignalled = true
            }
            guard monotonicNanoseconds() < deadline else {
                throw .directoryInUse(path: directory.path, holder: "the database server with process id \(first)")
            }
            usleep(50_000)
        }
    }

    /// The lock files that keep a server from starting, with their contents. Where its process has ended a file does not, and PostgreSQL checks it
    /// itself. It finds shared memory of an earlier server without the file, by the inode number of the folder `data`.
    private func blockingLockFiles() -> [String: String] {
        var files = [directory.data + "/postmaster.pid"]
        files += readableFolderNames(directory.socket).filter { $0.hasSuffix(".lock") }.map {
            "\(directory.socket)/\($0)"
        }
        var blocking: [String: String] = [:]
        for file in files where access(file, F_OK) == 0 {
            guard let text = readSmallFile(file) else {
                // Empty, or removed by a server that has just ended.
                if access(file, F_OK) == 0 { blocking[file] = "" }
                continue
            }
            let line = textLines(text).first
            // A server for one session writes its number as a negative one.
            let pid = line.flatMap { Int32($0) }.flatMap { Int32(exactly: $0.magnitude) }
            if let pid, pid > 0, kill(pid, 0) != 0, errno == ESRCH { continue }
            blocking[file] = text
        }
        return blocking
    }

    private func remove(_ files: [String: String]) throws(EmbeddedServerError) {
        for (file, text) in files where (readSmallFile(file) ?? "") == text {
            logger.notice("removing the lock file of a database server that has ended", metadata: ["file": "\(file)"])
            guard unlink(file) != 0, errno != ENOENT else { continue }
            throw .system(SystemCallError(call: "unlink", code: errno, object: file).description)
        }
    }
}

/// The processes of PostgreSQL that work in a data directory.
private struct ServerProcesses {
    private(set) var ids: [Int32] = []
    /// Those of them that end the others.
    private(set) var postmasters: [Int32] = []
    /// False without /proc: then only PostgreSQL's own checks apply.
    package let areVisible: Bool

    private let data: String
    private let user: UInt32
    private let folder: stat

    package init(data: String, user: UInt32) {
        var status = stat()
        var own = stat()
        self.data = data
        self.user = user
        areVisible = stat("/proc/self/cwd", &own) == 0 && stat(data, &status) == 0
        folder = status
        guard areVisible else { return }
        let found = readableFolderNames("/proc").compactMap { Int32($0) }.filter { isServer($0) }
        ids = found
        postmasters = found.filter { pid in Self.parent(of: pid).map { !found.contains($0) } ?? false }
    }

    /// Every server process works in its data directory. The kernel shows that of another user's process only to a caller
    /// with CAP_SYS_PTRACE, which root lacks in most containers: there the command line says it.
    private func isServer(_ pid: Int32) -> Bool {
        guard Self.isPostgres(pid) else { return false }
        var status = stat()
        if stat("/proc/\(pid)/cwd", &status) == 0 {
            return status.st_dev == folder.st_dev && status.st_ino == folder.st_ino
        }
        guard errno == EACCES || errno == EPERM, stat("/proc/\(pid)", &status) == 0, status.st_uid == user else {
            return false
        }
        if let named = Self.namedData(pid) { return named == data }
        // A child of a server has another title. One whose server has ended may be of this directory.
        guard let parent = Self.parent(of: pid), Self.isPostgres(parent), let named = Self.namedData(parent) else {
            return true
        }
        return named == data
    }

    private static func isPostgres(_ pid: Int32) -> Bool {
        let name = text("/proc/\(pid)/comm").filter { !$0.isNewline }
        return name == "postgres" || name == "postmaster"
    }

    /// What follows `-D` on the command line.
    private static func namedData(_ pid: Int32) -> String? {
        let arguments = text("/proc/\(pid)/cmdline").split(separator: "\0")
        guard let option = arguments.firstIndex(of: "-D"), option + 1 < arguments.count else { return nil }
        return String(arguments[option + 1])
    }

    private static func parent(of pid: Int32) -> Int32? {
        // The name in parentheses may hold blanks; the state follows it, then the parent.
        let fields = text("/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ")
        return fields.flatMap { $0.count > 1 ? Int32($0[1]) : nil }
    }

    /// Empty for a process that has ended.
    private static func text(_ path: String) -> String { readSmallFile(path) ?? "" }
}
