// The file that says that this collector runs; see RunningCollector.

import Glibc
import LinuxSystem

/// Written when the collector is ready, removed when it ends. Belongs to one thread.
final class RunningRecord {
    private let path: String
    private let descriptor: Int32

    /// - Throws: why the state directory takes no file. A collector works without one.
    init(_ collector: RunningCollector, environment: [String: String]) throws(SystemCallError) {
        let state = StateDirectory.path(environment: environment)
        let folder = "\(state)/\(RunningCollector.folderName)"
        var current = ""
        for part in folder.split(separator: "/") {
            current += "/\(part)"
            let made = current
            if mkdir(made, 0o755) != 0, errno != EEXIST {
                throw SystemCallError(call: "mkdir", code: errno, object: made)
            }
        }
        Self.removeLeftovers(folder)
        let name = "\(collector.processID)-\(String(UInt32.random(in: 0...UInt32.max), radix: 16))"
        let unfinished = "\(folder)/.\(name)"
        path = "\(folder)/\(name)"
        descriptor = Int32(
            try checkedCall("open", object: unfinished) {
                Int(open(unfinished, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644))
            })
        do throws(SystemCallError) {
            try checkedCall("flock", object: unfinished) { Int(flock(descriptor, LOCK_EX | LOCK_NB)) }
            // Whatever the umask: other users' commands read it too.
            try checkedCall("fchmod", object: unfinished) { Int(fchmod(descriptor, 0o644)) }
            let bytes = Array(collector.text.utf8)
            let written = try checkedCall("write", object: unfinished) { write(descriptor, bytes, bytes.count) }
            guard written == bytes.count else { throw SystemCallError(call: "write", code: ENOSPC, object: unfinished) }
            let path = path
            try checkedCall("rename", object: path) { Int(rename(unfinished, path)) }
        } catch {
            unlink(unfinished)
            close(descriptor)
            throw error
        }
    }

    /// Files of collectors that were killed.
    private static func removeLeftovers(_ folder: String) {
        for name in RunningCollector.fileNames(in: folder) {
            let file = "\(folder)/\(name)"
            let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
            guard descriptor >= 0 else { continue }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { unlink(file) }
            close(descriptor)
        }
    }

    deinit {
        unlink(path)
        close(descriptor)
    }
}
