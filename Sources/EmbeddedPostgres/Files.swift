// The few operations on files that the embedded server needs, with errors that name the path.

import Glibc
import LinuxSystem

package enum Files {
    /// No file read here is larger; the rest is not read.
    private static let textBytesMax = 1 << 20

    package static func text(of path: String) throws(EmbeddedServerError) -> String {
        let descriptor = try open(path, O_RDONLY, mode: 0)
        defer { close(descriptor) }
        return try text(of: descriptor, path: path, from: 0)
    }

    /// The end of a file, from a line's beginning.
    package static func lastLines(of path: String, bytes: Int, after start: Int = 0) -> String {
        do {
            let descriptor = try open(path, O_RDONLY, mode: 0)
            defer { close(descriptor) }
            let size = Int(lseek(descriptor, 0, SEEK_END))
            // A file that is shorter by now is another one.
            let start = start <= size ? start : 0
            let text = try text(of: descriptor, path: path, from: max(start, size - bytes))
            guard size - start > bytes, let newline = text.utf8.firstIndex(of: UInt8(ascii: "\n")) else { return text }
            return String(text[text.utf8.index(after: newline)...])
        } catch {
            // Only ever shown beside an error that matters more.
            return "(\(error))"
        }
    }

    private static func text(
        of descriptor: Int32, path: String, from offset: Int
    ) throws(EmbeddedServerError) -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < textBytesMax {
            let position = off_t(offset + bytes.count)
            let count = try call("read", path) { pread(descriptor, &buffer, buffer.count, position) }
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes a small file: complete and on disk under its name, or not there.
    package static func write(
        _ text: String, to path: String, mode: mode_t, owner: UserID
    ) throws(EmbeddedServerError) {
        let temporary = path + ".new"
        // The folder belongs to the server's user, who may have planted a link under this name: made anew, never followed.
        if unlink(temporary) != 0, errno != ENOENT {
            throw .system(SystemCallError(call: "unlink", code: errno, object: temporary).description)
        }
        let descriptor = try open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        let written = try call("write", temporary) { Glibc.write(descriptor, bytes, bytes.count) }
        guard written == bytes.count else { throw .system("write \(temporary): \(String(cString: strerror(ENOSPC)))") }
        if geteuid() == 0 { try call("fchown", temporary) { Int(fchown(descriptor, owner.user, owner.group)) } }
        try call("fsync", temporary) { Int(fsync(descriptor)) }
        try call("rename", path) { Int(rename(temporary, path)) }
    }

    package static func makeFolder(_ path: String, mode: mode_t, owner: UserID) throws(EmbeddedServerError) {
        if mkdir(path, mode) != 0, errno != EEXIST {
            throw .system(SystemCallError(call: "mkdir", code: errno, object: path).description)
        }
        // A link planted in its place must not lead the ownership elsewhere.
        let descriptor = try open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, mode: 0)
        defer { close(descriptor) }
        if geteuid() == 0 { try call("fchown", path) { Int(fchown(descriptor, owner.user, owner.group)) } }
        try call("fchmod", path) { Int(fchmod(descriptor, mode)) }
    }

    package static func open(_ path: String, _ flags: Int32, mode: mode_t) throws(EmbeddedServerError) -> Int32 {
        Int32(try call("open", path) { Int(Glibc.open(path, flags | O_CLOEXEC, mode)) })
    }

    @discardableResult
    package static func call(
        _ name: StaticString, _ path: String, _ body: () -> Int
    ) throws(EmbeddedServerError) -> Int {
        do { return try checkedCall(name, object: path, body) } catch { throw .system(error.description) }
    }
}
