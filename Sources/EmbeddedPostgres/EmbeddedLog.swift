// The server's log: `server.log`, at most 4 MiB, and `server.log.1`, the same amount before it. 8 MiB are never exceeded.
//
// The server writes into a pipe, which a thread of the collector copies into the file, so that the limit holds at every moment. A
// file that cannot be written loses lines and never makes the server wait. What a server writes after its collector was killed is
// lost.
//
// No record's text is in the log: the settings of the server (`EmbeddedCluster.logSettings`) leave out details, statements and
// parameters.

import Glibc
import LinuxSystem
import Logging

package struct EmbeddedLog: Sendable {
    package let path: String
    /// Of each of the two files.
    package static let bytesMax = 4 << 20

    package var older: String { path + ".1" }

    /// Opens the log for appending.
    package func open() throws(EmbeddedServerError) -> Int32 {
        try Files.open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o600)
    }

    /// Removes files that are larger than this version writes: an earlier one logged the contents of records.
    package func removeOversized() throws(EmbeddedServerError) {
        for file in [path, older] {
            var status = stat()
            guard stat(file, &status) == 0, status.st_size > Self.bytesMax else { continue }
            try Files.call("unlink", file) { Int(unlink(file)) }
        }
    }

    /// Where the next line goes, in bytes.
    package var end: Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// The last lines of those after `start`.
    package func lastLines(after start: Int) -> String { Files.lastLines(of: path, bytes: 1_000, after: start) }
}

/// Copies what a server writes. Belongs to one thread, which starts the server.
package final class EmbeddedLogPipe {
    /// What the server gets as its output.
    private(set) var input: Int32
    private let output: Int32
    private let log: EmbeddedLog
    private let logger: Logger
    private var file: Int32
    private var size: Int
    private var hasWarned = false
    private var buffer = [UInt8](repeating: 0, count: 16_384)

    /// Between two checks whether the server has ended while another process holds its output.
    private static let checkMilliseconds: Int32 = 1_000
    /// Read after the server's end: more than a pipe holds.
    private static let readsAfterEndMax = 64

    package init(_ log: EmbeddedLog, logger: Logger) throws(EmbeddedServerError) {
        self.log = log
        self.logger = logger
        try log.removeOversized()
        file = try log.open()
        size = Int(lseek(file, 0, SEEK_END))
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0, fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0, fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0
        else {
            let code = errno
            for descriptor in ends + [file] where descriptor >= 0 { close(descriptor) }
            throw .system(SystemCallError(call: "pipe", code: code, object: log.path).description)
        }
        (output, input) = (ends[0], ends[1])
    }

    deinit {
        closeInput()
        close(output)
        if file >= 0 { close(file) }
    }

    /// Once the server has its own: the pipe ends when the last process of the server does.
    package func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Copies until the server has ended and its last lines are in the file.
    package func copy(until server: ChildProcess) throws(SystemCallError) {
        var readsAfterEnd = 0
        while readsAfterEnd < Self.readsAfterEndMax {
            var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            let ready = try checkedCall("poll", object: log.path) { Int(poll(&entry, 1, Self.checkMilliseconds)) }
            let hasEnded = try server.wait(timeoutMilliseconds: 0) != nil
            var count = 0
            if ready > 0 { count = try checkedCall("read", object: log.path) { read(output, &buffer, buffer.count) } }
            if count > 0 {
                append(count)
                if hasEnded { readsAfterEnd += 1 }
            } else if hasEnded {
                return
            } else if ready > 0 {
                // The pipe has ended and the process is about to.
                _ = try server.wait(timeoutMilliseconds: Self.checkMilliseconds)
            }
        }
    }

    private func append(_ count: Int) {
        do {
            if file < 0 { try reopen() }
            if size + count > EmbeddedLog.bytesMax { try rotate() }
            var written = 0
            while written < count {
                let done = try Files.call("write", log.path) {
                    buffer.withUnsafeBytes { write(file, $0.baseAddress! + written, count - written) }
                }
                written += done
                size += done
            }
        } catch {
            if !hasWarned { logger.warning("lines of the embedded database's log are lost: \(error)") }
            hasWarned = true
        }
    }

    private func rotate() throws(EmbeddedServerError) {
        close(file)
        file = -1
        // Another program may have moved it.
        if rename(log.path, log.older) != 0, errno != ENOENT {
            throw .system(SystemCallError(call: "rename", code: errno, object: log.path).description)
        }
        try reopen()
    }

    private func reopen() throws(EmbeddedServerError) {
        file = try log.open()
        size = Int(lseek(file, 0, SEEK_END))
    }
}
