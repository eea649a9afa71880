// The spill's directory:
//
//     DIR/              0700
//         lock          flock of the process that owns it; holds the directory's id
//         database      the database that the batches are for
//         spill-*.lz4   0600, the segments
//         quarantine/   0700, what was damaged
//         other-N/      0700, spills of other databases
//
// Invariant: who holds the lock is the only one who writes here.

import Delivery
import FrameCodec
import Glibc
import LinuxSystem
import Text

/// What is kept of damage and torn ends.
public struct SpillQuarantine: Equatable, Sendable {
    public let path: String
    public var files = 0
    public var bytes: UInt64 = 0
}

/// An open spill directory.
public final class SpillDirectory: Sendable {
    public let path: String
    /// Random, made with the directory: who replays it later is known by it.
    public let directoryID: UInt64
    public let fileSystem: any SpillFileSystem
    /// The segments that the writer and the readers share.
    public let files: SegmentFiles
    /// Nil for a reader.
    let place: SpillPlace?
    /// -1 without the lock.
    private let lock: Int32
    /// The folders that opening it created, the outermost first.
    private let made: [String]

    static let lockName = "lock"
    /// Files that are no segments.
    static let ownNames: Set<String> = [lockName, databaseName, databaseName + ".new"]
    private static let idDigits = 16

    private init(
        path: String, directoryID: UInt64, fileSystem: any SpillFileSystem, lock: Int32, made: [String] = [],
        place: SpillPlace? = nil, segmentsOpenMax: Int = SegmentFiles.capacityDefault
    ) {
        self.made = made
        self.place = place
        files = SegmentFiles(capacity: segmentsOpenMax)
        self.path = path
        self.directoryID = directoryID
        self.fileSystem = fileSystem
        self.lock = lock
    }

    deinit { if lock >= 0 { close(lock) } }

    /// Takes the directory for this process, which makes it if it is not there.
    ///
    /// A symbolic link to the directory is followed once: `path` is then the directory's own.
    ///
    /// - Parameter segmentsOpenMax: segments that are kept open while they are needed.
    public static func open(
        _ given: String, segmentsOpenMax: Int = SegmentFiles.capacityDefault
    ) throws(SpillError) -> SpillDirectory {
        let path = try resolved(given)
        let made = try make(path)
        // What is not a spill gets no advice to change its owner or mode.
        try checkContents(path)
        let folder = try openFolder(path)
        do throws(SpillError) {
            let lock = try takeLock(path, folder)
            do throws(SpillError) {
                let id = try directoryID(path, lock, folder)
                let place = SpillPlace(path: path, folder: folder, lock: lock, directoryID: id)
                return SpillDirectory(
                    path: path, directoryID: id,
                    fileSystem: LinuxFileSystem(path: path, folder: folder, place: place), lock: lock,
                    made: made, place: place, segmentsOpenMax: segmentsOpenMax)
            } catch {
                close(lock)
                throw error
            }
        } catch {
            close(folder)
            throw error
        }
    }

    /// Looks into a directory that another process may own. Nothing is changed.
    public static func read(_ given: String) throws(SpillError) -> SpillDirectory {
        let path = try resolved(given)
        let folder = try openFolder(path)
        return SpillDirectory(
            path: path, directoryID: 0, fileSystem: LinuxFileSystem(path: path, folder: folder), lock: -1)
    }

    /// What the quarantine holds now. Nothing where it cannot be read.
    public var quarantine: SpillQuarantine {
        var found = SpillQuarantine(path: path + "/" + LinuxFileSystem.quarantineName)
        for name in readableFolderNames(found.path) {
            var status = stat()
            guard lstat(found.path + "/" + name, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            found.files += 1
            found.bytes += UInt64(max(0, status.st_size))
        }
        return found
    }

    /// Removes the directory if opening it created it and nothing was spilled: a collector that could not start leaves none
    /// behind. Nothing may use it any more.
    public func removeIfNew() {
        guard made.last == path else { return }
        let lockFile = path + "/" + Self.lockName
        // A folder with a segment, or a quarantine with a file, stays.
        do throws(SystemCallError) {
            guard try Set(fileSystem.names()).isSubset(of: [Self.lockName, Self.databaseName]) else { return }
        } catch {
            // A folder that cannot be read is not known to be empty.
            return
        }
        rmdir(path + "/" + LinuxFileSystem.quarantineName)
        unlink(path + "/" + Self.databaseName)
        unlink(lockFile)
        for folder in made.reversed() where rmdir(folder) != 0 { return }
    }

    // MARK: Parts

    private static func resolved(_ path: String) throws(SpillError) -> String {
        do throws(LinkError) { return try followingLink(path) } catch { throw unusable(path, "\(error)") }
    }

    private static func unusable(_ path: String, _ reason: String) -> SpillError {
        .directoryNotUsable(path: path, reason: reason)
    }

    /// - Returns: the folders that it created.
    @discardableResult
    static func make(_ path: String) throws(SpillError) -> [String] {
        guard path.hasPrefix("/") else { throw unusable(path, "give an absolute path") }
        var current = ""
        var made: [String] = []
        let parts = path.split(separator: "/")
        for (index, part) in parts.enumerated() {
            current += "/" + part
            let mode: mode_t = index == parts.count - 1 ? 0o700 : 0o755
            if mkdir(current, mode) == 0 {
                made.append(current)
                try syncParent(of: current, path)
            } else if errno != EEXIST {
                throw unusable(path, "mkdir \(current): \(String(cString: strerror(errno)))")
            }
        }
        return made
    }

    /// A folder that a power loss takes away takes with it whatever was synced in it.
    private static func syncParent(of folder: String, _ path: String) throws(SpillError) {
        let parent = folder.lastIndex(of: "/").map { folder[..<$0] } ?? ""
        let descriptor = Glibc.open(parent.isEmpty ? "/" : String(parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unusable(path, String(cString: strerror(errno))) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else {
            throw .system(SystemCallError(call: "fsync", code: errno, object: String(parent)))
        }
    }

    static func openFolder(_ path: String) throws(SpillError) -> Int32 {
        let folder = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard folder >= 0 else { throw unusable(path, String(cString: strerror(errno))) }
        var status = stat()
        guard fstat(folder, &status) == 0 else {
            let reason = String(cString: strerror(errno))
            close(folder)
            throw unusable(path, reason)
        }
        guard status.st_uid == geteuid() || geteuid() == 0, status.st_mode & 0o077 == 0 else {
            close(folder)
            throw unusable(
                path, "it must belong to the user that runs the collector and be closed to others: chmod 700 \(path)")
        }
        return folder
    }

    /// A folder given by mistake must not become a spill.
    static func checkContents(_ path: String) throws(SpillError) {
        let names: [String]
        do throws(SystemCallError) { names = try folderNames(path) } catch { throw unusable(path, "\(error)") }
        let isSpill = names.contains {
            ownNames.contains($0) || $0 == LinuxFileSystem.quarantineName || SegmentName($0) != nil
        }
        guard isSpill || names.isEmpty else {
            throw unusable(path, "it is not empty and not a spill: name a new or an empty directory")
        }
    }

    static func takeLock(_ path: String, _ folder: Int32) throws(SpillError) -> Int32 {
        let lock = openat(folder, lockName, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw .system(SystemCallError(call: "openat", code: errno, object: path + "/lock")) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            defer { close(lock) }
            guard code == EWOULDBLOCK else {
                throw .system(SystemCallError(call: "flock", code: code, object: path + "/lock"))
            }
            let lines = textLines(text(of: lock))
            let isKnown = lines.count > 1 && !lines[1].isEmpty
            let holder =
                isKnown
                ? "a collector that is running already, process id \(lines[1]): stop it (kill \(lines[1])), or name another "
                    + "directory with --spill-directory"
                : "another process"
            throw .directoryInUse(path: path, holder: holder)
        }
        return lock
    }

    /// The id in the lock file, made anew where it is missing.
    private static func directoryID(_ path: String, _ lock: Int32, _ folder: Int32) throws(SpillError) -> UInt64 {
        let found = textLines(text(of: lock)).first.flatMap { line in
            line.utf8.count == idDigits ? UInt64(line, radix: 16) : nil
        }
        let id = found ?? UInt64.random(in: 1 ... .max)
        do throws(SystemCallError) {
            // Who replays under another id would not wait for this run's transactions.
            try write(id, path, lock, folder, isDurable: found == nil)
        } catch {
            // A full disk must not keep the collector from draining what fills it.
            guard found != nil || error.code == ENOSPC || error.code == EDQUOT else { throw .system(error) }
        }
        return id
    }

    /// Writes the lock file: the directory's id and this process's.
    static func write(
        _ id: UInt64, _ path: String, _ lock: Int32, _ folder: Int32, isDurable: Bool
    ) throws(SystemCallError) {
        let content = Array("\(hexadecimal(id, digits: idDigits))\n\(getpid())\n".utf8)
        let file = path + "/lock"
        let written = try checkedCall("pwrite64", object: file) { pwrite(lock, content, content.count, 0) }
        guard written == content.count else { throw SystemCallError(call: "pwrite64", code: ENOSPC, object: file) }
        try checkedCall("ftruncate", object: file) { Int(ftruncate(lock, content.count)) }
        guard isDurable else { return }
        try checkedCall("fsync", object: file) { Int(fsync(lock)) }
        try checkedCall("fsync", object: path) { Int(fsync(folder)) }
    }

    private static func text(of descriptor: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    }
}
