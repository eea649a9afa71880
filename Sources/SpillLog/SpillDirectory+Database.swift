// Which database a spill belongs to: the file `database` has it in one line. What was meant for one database is never replayed
// into another by itself: its segments are set aside, into a spill of their own below the directory, which can be imported at
// any time.
//
//     DIR/other-N/      a spill directory like DIR, with the same id
//
// Invariant: `database` changes only after every segment of the database before was moved. It may be interrupted anywhere and
// run again.

import Delivery
import Glibc
import LinuxSystem

extension SpillDirectory {
    static let databaseName = "database"
    static let otherPrefix = "other-"
    private static let databaseBytesMax = 4_096
    private static let othersMax = 1_000

    /// The database that the batches are for; nil where nothing is recorded, as by earlier collectors.
    public var database: String? { Self.database(in: path) }

    /// The same of any directory; nil also where it cannot be read. Reads only.
    public static func database(in path: String) -> String? {
        do throws(SpillError) { return try recordedDatabase(in: path) } catch { return nil }
    }

    /// - Throws: where something is recorded and cannot be read.
    private static func recordedDatabase(in path: String) throws(SpillError) -> String? {
        let file = path + "/" + databaseName
        do throws(SystemCallError) {
            let descriptor = Int32(
                try checkedCall("open", object: file) {
                    Int(Glibc.open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC))
                })
            defer { close(descriptor) }
            var bytes = [UInt8](repeating: 0, count: databaseBytesMax)
            let count = try checkedCall("pread64", object: file) { pread(descriptor, &bytes, bytes.count, 0) }
            let line = bytes[..<count].prefix { $0 != UInt8(ascii: "\n") }
            return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
        } catch {
            guard error.code == ENOENT else { throw .system(error) }
            return nil
        }
    }

    /// Makes the directory the spill of a database. Segments of another one are set aside first.
    ///
    /// - Parameter takesUnknown: batches for which no database is recorded count as this one's.
    /// - Returns: where segments of which database were set aside; nil without any.
    /// - Throws: `system` when it could not be done: then nothing of the other database may be replayed.
    public func claim(
        for database: String, takesUnknown: Bool
    ) throws(SpillError) -> (path: String, database: String?)? {
        // A line of the file: what a URL may hold besides is not needed to tell databases apart.
        let database = String(
            decoding: database.utf8.filter { $0 >= 0x20 }.prefix(Self.databaseBytesMax / 2), as: UTF8.self)
        place?.database.withLock { $0 = database }
        let before = try Self.recordedDatabase(in: path)
        var aside: String?
        if before != database {
            let mayBeForeign = before != nil || !takesUnknown
            let isForeign = mayBeForeign ? try Self.holdsSegments(path) : false
            if isForeign { aside = try setAside(before) }
            do throws(SpillError) {
                try Self.record(database, in: path)
            } catch {
                // A full disk must not keep the collector from draining what fills it.
                guard !isForeign, case .system(let error) = error, error.code == ENOSPC || error.code == EDQUOT else {
                    throw error
                }
            }
        }
        try takeBack(database)
        return aside.map { ($0, before) }
    }

    /// Takes back what was set aside for this database while the collector stored to another one.
    private func takeBack(_ database: String) throws(SpillError) {
        for name in try Self.names(in: path) where name.hasPrefix(Self.otherPrefix) {
            let other = path + "/" + name
            guard Self.database(in: other) == database, try Self.holdsSegments(other) else { continue }
            do throws(SpillError) {
                let folder = try Self.openFolder(other)
                defer { close(folder) }
                let lock = try Self.takeLock(other, folder)
                defer { close(lock) }
                try moveSegments(from: other, folder, to: path)
            } catch {
                // It is being imported just now, which does the same.
                guard case .directoryInUse = error else { throw error }
            }
        }
    }

    /// Whether a directory holds segments, as far as it can be read. Reads only.
    public static func hasSegments(_ path: String) -> Bool {
        readableFolderNames(path).contains { SegmentName($0) != nil }
    }

    /// The same for who must know: segments that are overlooked would be replayed into another database.
    private static func holdsSegments(_ path: String) throws(SpillError) -> Bool {
        try names(in: path).contains { SegmentName($0) != nil }
    }

    private static func names(in path: String) throws(SpillError) -> [String] {
        do throws(SystemCallError) { return try folderNames(path) } catch { throw .system(error) }
    }

    // MARK: Parts

    private func setAside(_ database: String?) throws(SpillError) -> String {
        for number in 1...Self.othersMax {
            let target = "\(path)/\(Self.otherPrefix)\(number)"
            var status = stat()
            let isThere = lstat(target, &status) == 0
            // One of an earlier time for the same database takes more, unless it is being imported just now.
            if isThere, Self.database(in: target) != database { continue }
            do throws(SpillError) {
                try move(to: target, database)
                return target
            } catch {
                guard case .directoryInUse = error else { throw error }
            }
        }
        throw .directoryNotUsable(path: path, reason: "it has \(Self.othersMax) spills of other databases: import them")
    }

    private func move(to target: String, _ database: String?) throws(SpillError) {
        try Self.make(target)
        let folder = try Self.openFolder(target)
        defer { close(folder) }
        let lock = try Self.takeLock(target, folder)
        defer { close(lock) }
        do throws(SystemCallError) {
            // Who imports it waits for transactions of the collector that wrote it, which are known by this id.
            try Self.write(directoryID, target, lock, folder, isDurable: true)
        } catch {
            throw .system(error)
        }
        if let database { try Self.record(database, in: target) }
        try moveSegments(from: path, folder, to: target)
    }

    /// - Parameter folder: the descriptor of the one of both that is not this directory.
    private func moveSegments(from source: String, _ folder: Int32, to target: String) throws(SpillError) {
        do throws(SystemCallError) {
            for name in try folderNames(source) where SegmentName(name) != nil {
                try checkedCall("rename", object: source + "/" + name) {
                    Int(rename(source + "/" + name, target + "/" + name))
                }
            }
            try checkedCall("fsync", object: target) { Int(fsync(folder)) }
            try fileSystem.syncFolder()
        } catch {
            throw .system(error)
        }
    }

    /// Replaced as a whole, so that a crash leaves the one or the other.
    static func record(_ database: String, in path: String) throws(SpillError) {
        let name = path + "/" + databaseName
        let new = name + ".new"
        let bytes = Array((database + "\n").utf8)
        do throws(SystemCallError) {
            let descriptor = Int32(
                try checkedCall("open", object: new) {
                    Int(Glibc.open(new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600))
                })
            defer { close(descriptor) }
            let written = try checkedCall("pwrite64", object: new) { pwrite(descriptor, bytes, bytes.count, 0) }
            guard written == bytes.count else { throw SystemCallError(call: "pwrite64", code: ENOSPC, object: new) }
            try checkedCall("fsync", object: new) { Int(fsync(descriptor)) }
            try checkedCall("rename", object: new) { Int(rename(new, name)) }
            let folder = Int32(
                try checkedCall("open", object: path) { Int(Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) })
            defer { close(folder) }
            try checkedCall("fsync", object: path) { Int(fsync(folder)) }
        } catch {
            throw .system(error)
        }
    }
}
