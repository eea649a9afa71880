// Finds other spills of this machine that hold batches which no collector replays: of an earlier place, of another database.
// Reads only.
//
// Limits: folders up to two levels below the given ones, `foundMax` spills.

import Glibc
import LinuxSystem

/// A spill that holds segments, beside that of this collector.
public struct StrandedSpill: Sendable, Equatable {
    public let path: String
    /// The database that it is for; nil where it does not say so.
    public let database: String?
    public let batches: Int
    public let records: Int
    /// Why it could not be looked through; nil if it was.
    public let failure: String?

    /// Whether something is left in it.
    public var isStranded: Bool { SpillDirectory.hasSegments(path) }
}

/// Looks through folders.
public struct SpillSearch {
    private static let foundMax = 64

    public private(set) var found: [StrandedSpill] = []
    private let own: String
    private var seen: Set<String> = []

    /// - Parameters:
    ///   - folders: whose children and grandchildren may be spills.
    ///   - own: the spill of this collector.
    /// - Complexity: O(bytes of segments that were not ended in order) reads, and O(batches) of the others.
    public init(below folders: [String], except own: String) {
        self.own = own
        for folder in folders { search(folder, levels: 2) }
    }

    private mutating func search(_ folder: String, levels: Int) {
        guard levels > 0, found.count < Self.foundMax else { return }
        for name in readableFolderNames(folder).sorted() {
            let path = folder + "/" + name
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
                name != LinuxFileSystem.quarantineName, seen.insert(path).inserted
            else { continue }
            if path != own, SpillDirectory.hasSegments(path), !Self.isInUse(path) { found.append(Self.inspect(path)) }
            search(path, levels: levels - 1)
        }
    }

    /// Whether a running collector, or an import, owns it.
    private static func isInUse(_ path: String) -> Bool {
        let lock = Glibc.open(path + "/" + SpillDirectory.lockName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard lock >= 0 else { return false }
        defer { close(lock) }
        return flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    private static func inspect(_ path: String) -> StrandedSpill {
        let database = SpillDirectory.database(in: path)
        do throws(SpillError) {
            let directory = try SpillDirectory.read(path)
            let recovery = try SpillRecovery(
                fileSystem: directory.fileSystem, isReadOnly: true, onSessions: { _, _ in })
            return StrandedSpill(
                path: path, database: database, batches: recovery.batches, records: recovery.records, failure: nil)
        } catch {
            return StrandedSpill(path: path, database: database, batches: 0, records: 0, failure: "\(error)")
        }
    }
}
