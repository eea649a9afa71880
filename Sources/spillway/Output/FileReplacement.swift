// A file that takes another one's place when it is complete.

import Glibc
import LinuxSystem

/// O_TMPFILE, which Glibc's module does not show: `__O_TMPFILE | O_DIRECTORY`.
private let spillwayTemporaryFile: Int32 = 0o20_000_000 | O_DIRECTORY

/// A new file in the directory of the one that it replaces, with its mode and, where this user may, its owner.
struct FileReplacement {
    let descriptor: Int32
    /// Whether there is a file of that name already.
    let replacesFile: Bool
    private let path: String
    private let temporaryPath: String
    private let hasName: Bool

    private static let modeBits: mode_t = 0o7777
    private static let linksMax = 40

    /// - Returns: nil where `path` is something that is no regular file, and is written in place.
    init?(of path: String) throws(SystemCallError) {
        // The file that a link names is replaced, not the link.
        let target = try Self.target(of: path)
        var status = stat()
        let exists: Bool
        do throws(SystemCallError) {
            try checkedCall("stat", object: path) { Int(stat(target, &status)) }
            exists = true
        } catch {
            guard error.code == ENOENT else { throw error }
            exists = false
        }
        guard !exists || status.st_mode & S_IFMT == S_IFREG else { return nil }
        // A file that this user may not write is not replaced, even where the directory would allow it.
        if exists { try checkedCall("open", object: path) { Int(access(target, W_OK)) } }
        self.path = target
        replacesFile = exists
        let folder = target.lastIndex(of: "/").map { target[...$0] } ?? ""
        let name = target.lastIndex(of: "/").map { target[target.index(after: $0)...] } ?? target[...]
        let temporary = "\(folder).\(name.prefix(64)).\(getpid()).part"
        temporaryPath = temporary
        // What a process of the same number left behind.
        unlink(temporary)
        // Without a name the file goes with this process, however that ends. Not every file system can do it.
        let unnamed = open(folder.isEmpty ? "." : String(folder), O_WRONLY | spillwayTemporaryFile | O_CLOEXEC, 0o666)
        hasName = unnamed < 0
        let opened =
            unnamed >= 0
            ? unnamed
            : Int32(
                try checkedCall("open", object: temporary) {
                    Int(open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666))
                })
        descriptor = opened
        guard exists else { return }
        do throws(SystemCallError) {
            let owner = (status.st_uid, status.st_gid)
            // The owner first: changing it clears bits of the mode. Only root may give a file away.
            if fchown(opened, owner.0, owner.1) != 0, errno != EPERM {
                throw SystemCallError(call: "fchown", code: errno, object: temporary)
            }
            try checkedCall("fchmod", object: temporary) { Int(fchmod(opened, status.st_mode & Self.modeBits)) }
        } catch {
            discard()
            close(opened)
            throw error
        }
    }

    /// Of `/dev/stdout`, `/dev/fd/N` and links to them: the open descriptor that they mean.
    static func descriptor(at path: String) throws(SystemCallError) -> Int32? {
        let path = try target(of: path)
        for folder in descriptorFolders where path.hasPrefix(folder) { return Int32(path.dropFirst(folder.count)) }
        return nil
    }

    private static let descriptorFolders = ["/proc/self/fd/", "/dev/fd/"]

    /// Follows symbolic links to the name that a file has or would get. The links of open descriptors stay: they name no path
    /// that could be replaced.
    private static func target(of path: String) throws(SystemCallError) -> String {
        var path = path
        for _ in 0..<linksMax {
            if descriptorFolders.contains(where: { path.hasPrefix($0) }) { return path }
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlink(path, &buffer, buffer.count)
            guard count >= 0 else {
                // No link (EINVAL), or nothing there yet.
                if errno == EINVAL || errno == ENOENT { return path }
                throw SystemCallError(call: "readlink", code: errno, object: path)
            }
            let link = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
            path = link.hasPrefix("/") ? link : folder + link
        }
        throw SystemCallError(call: "open", code: ELOOP, object: path)
    }

    /// Gives the file its name.
    func rename() throws(SystemCallError) {
        if !hasName {
            try checkedCall("linkat", object: temporaryPath) {
                Int(linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, temporaryPath, AT_SYMLINK_FOLLOW))
            }
        }
        do throws(SystemCallError) {
            try checkedCall("rename", object: path) { Int(Glibc.rename(temporaryPath, path)) }
        } catch {
            unlink(temporaryPath)
            throw error
        }
    }

    /// Removes the file.
    func discard() { if hasName { unlink(temporaryPath) } }
}
