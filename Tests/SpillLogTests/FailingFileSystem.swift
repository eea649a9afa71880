import LinuxSystem

@testable import SpillLog

/// The real folder, in which calls fail on demand.
///
/// `@unchecked Sendable`: a test is one thread.
final class FailingFileSystem: SpillFileSystem, @unchecked Sendable {
    private let real: any SpillFileSystem
    var failsSync = false
    /// The next ones fail with EIO.
    var unlinksToFail = 0
    /// Reads of these bytes fail with EIO.
    var unreadable: Range<Int>?
    /// The next reads fail with EIO.
    var readsToFail = 0
    /// What every move to the quarantine fails with.
    var quarantineError: Int32?
    /// Files that were synced again after a failure.
    var syncsBehindFailure = 0

    init(_ real: any SpillFileSystem) { self.real = real }

    func names() throws(SystemCallError) -> [String] { try real.names() }
    func create(_ name: String) throws(SystemCallError) -> any SpillFile { FailingFile(try real.create(name), self) }
    func open(_ name: String, forReading: Bool) throws(SystemCallError) -> any SpillFile {
        FailingFile(try real.open(name, forReading: forReading), self)
    }
    func unlink(_ name: String) throws(SystemCallError) {
        guard unlinksToFail == 0 else {
            unlinksToFail -= 1
            throw SystemCallError(call: "unlinkat", code: 5, object: name)
        }
        try real.unlink(name)
    }
    func syncFolder() throws(SystemCallError) { try real.syncFolder() }
    func quarantine(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(SystemCallError) {
        try real.quarantine(name, bytes)
    }
    func moveToQuarantine(_ name: String) throws(SystemCallError) {
        if let quarantineError { throw SystemCallError(call: "mkdirat", code: quarantineError, object: name) }
        try real.moveToQuarantine(name)
    }
    /// What `space` gives instead of the disk's room.
    var freeBytes: UInt64?
    func space() throws(SystemCallError) -> DiskSpace {
        if let freeBytes { return DiskSpace(freeBytes: freeBytes, totalBytes: 1 << 40) }
        return try real.space()
    }
    func identity(of name: String) throws(SystemCallError) -> FileIdentity? { try real.identity(of: name) }
    func keepPlace() throws(SpillError) -> Bool { try real.keepPlace() }
}

private final class FailingFile: SpillFile, @unchecked Sendable {
    private let real: any SpillFile
    private let system: FailingFileSystem
    private var hasFailed = false

    init(_ real: any SpillFile, _ system: FailingFileSystem) {
        self.real = real
        self.system = system
    }

    func size() throws(SystemCallError) -> Int { try real.size() }
    func identity() throws(SystemCallError) -> FileIdentity { try real.identity() }
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(SystemCallError) -> Int {
        let isUnreadable = system.unreadable?.overlaps(offset..<offset + max(1, buffer.count)) ?? false
        guard !isUnreadable, system.readsToFail == 0 else {
            system.readsToFail = max(0, system.readsToFail - 1)
            throw SystemCallError(call: "pread64", code: 5)
        }
        return try real.read(at: offset, into: buffer)
    }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemCallError) {
        try real.write(bytes, at: offset)
    }
    func truncate(to size: Int) throws(SystemCallError) { try real.truncate(to: size) }
    func sync() throws(SystemCallError) {
        if hasFailed { system.syncsBehindFailure += 1 }
        guard !system.failsSync else {
            hasFailed = true
            throw SystemCallError(call: "fdatasync", code: 5)
        }
        try real.sync()
    }
    func close() { real.close() }
}
