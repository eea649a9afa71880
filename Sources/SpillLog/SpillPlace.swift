// Keeps the spill's folder at its path, whatever is done to it from outside: a folder that was removed, renamed or replaced, or
// whose lock file was removed, still takes writes through its descriptor, and no later start would find them.
//
// Invariant: the descriptors keep their numbers. A thread that reads through them meanwhile reads the folder before or the one
// after.

import Glibc
import LinuxSystem
import Synchronization

/// The folder and the lock of one process. `keep` is for the thread that writes the spill.
final class SpillPlace: Sendable {
    let path: String
    let folder: Int32
    let lock: Int32
    let directoryID: UInt64
    /// What is recorded of the database that the batches are for.
    let database = Mutex<String?>(nil)

    init(path: String, folder: Int32, lock: Int32, directoryID: UInt64) {
        self.path = path
        self.folder = folder
        self.lock = lock
        self.directoryID = directoryID
    }

    /// See `SpillFileSystem.keepPlace`. Four system calls while nothing has changed.
    func keep() throws(SpillError) -> Bool {
        if isInPlace { return false }
        try take()
        return true
    }

    /// Whether the path names the folder, and the lock's name the lock.
    private var isInPlace: Bool {
        var (named, held) = (stat(), stat())
        guard stat(path, &named) == 0, fstat(folder, &held) == 0, Self.isSame(named, held) else { return false }
        return fstatat(folder, SpillDirectory.lockName, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(lock, &held) == 0
            && Self.isSame(named, held)
    }

    private static func isSame(_ one: stat, _ other: stat) -> Bool {
        one.st_dev == other.st_dev && one.st_ino == other.st_ino
    }

    private func take() throws(SpillError) {
        try SpillDirectory.make(path)
        let newFolder = try SpillDirectory.openFolder(path)
        defer { close(newFolder) }
        try SpillDirectory.checkContents(path)
        let newLock = try SpillDirectory.takeLock(path, newFolder)
        defer { close(newLock) }
        if let database = database.withLock({ $0 }) {
            let found = SpillDirectory.database(in: path)
            guard found == nil || found == database else {
                throw .directoryNotUsable(path: path, reason: "it is the spill of another database, \(found ?? "")")
            }
            if found == nil { try SpillDirectory.record(database, in: path) }
        }
        do throws(SystemCallError) {
            // With the id of this run: a later start must wait for its transactions.
            try SpillDirectory.write(directoryID, path, newLock, newFolder, isDurable: true)
            for (new, number) in [(newFolder, folder), (newLock, lock)] {
                try checkedCall("dup2", object: path) { Int(dup2(new, number)) }
                try checkedCall("fcntl", object: path) { Int(fcntl(number, F_SETFD, FD_CLOEXEC)) }
            }
        } catch {
            throw .system(error)
        }
    }
}
