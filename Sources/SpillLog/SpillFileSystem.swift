// The few operations on files that the spill needs, so that a test can put a disk that crashes in their place.

import LinuxSystem

/// One folder with the spill's files.
public protocol SpillFileSystem: Sendable {
    /// The names of the folder's regular files.
    func names() throws(SystemCallError) -> [String]
    /// Makes a file, which must not be there, readable and writable by its owner alone.
    func create(_ name: String) throws(SystemCallError) -> any SpillFile
    /// Opens a file for reading and, unless told otherwise, writing.
    func open(_ name: String, forReading: Bool) throws(SystemCallError) -> any SpillFile
    func unlink(_ name: String) throws(SystemCallError)
    /// Makes durable which files the folder has.
    func syncFolder() throws(SystemCallError)
    /// Keeps bytes in a new file of the quarantine, durable when this returns.
    func quarantine(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(SystemCallError)
    /// Moves a file into the quarantine, durable when this returns.
    func moveToQuarantine(_ name: String) throws(SystemCallError)
    /// The disk's room, in bytes.
    func space() throws(SystemCallError) -> DiskSpace
    /// The file that has the name now; nil without one.
    func identity(of name: String) throws(SystemCallError) -> FileIdentity?
    /// Checks that the folder is the one that its path names and that this process owns it. Otherwise takes the folder at the
    /// path, which is created if it is missing: from then on all calls work on that one.
    ///
    /// - Returns: whether another folder was taken. It holds no file of the one before.
    /// - Throws: why the path has no folder that can be the spill's.
    func keepPlace() throws(SpillError) -> Bool
}

/// One open file. Closed by `close`, at the latest with its last reference.
public protocol SpillFile: AnyObject, Sendable {
    func size() throws(SystemCallError) -> Int
    /// Which file it is, whatever its name.
    func identity() throws(SystemCallError) -> FileIdentity
    /// Reads as much as there is, up to the buffer's size.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(SystemCallError) -> Int
    /// Writes all of the bytes.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemCallError)
    func truncate(to size: Int) throws(SystemCallError)
    /// Makes the file's bytes and size durable. After a failure nobody knows what is: it is not called again.
    func sync() throws(SystemCallError)
    func close()
}

/// Which file something is: two names or descriptors with the same numbers are one file.
public struct FileIdentity: Equatable, Sendable {
    public let device: UInt64
    public let inode: UInt64
    public let sizeBytes: Int

    public init(device: UInt64, inode: UInt64, sizeBytes: Int) {
        self.device = device
        self.inode = inode
        self.sizeBytes = sizeBytes
    }

    func isSameFile(as other: FileIdentity) -> Bool { device == other.device && inode == other.inode }
}

/// The room of a disk.
public struct DiskSpace: Equatable, Sendable {
    public let freeBytes: UInt64
    public let totalBytes: UInt64

    public init(freeBytes: UInt64, totalBytes: UInt64) {
        self.freeBytes = freeBytes
        self.totalBytes = totalBytes
    }

    /// In percent.
    public var freePercent: Double { totalBytes == 0 ? 100 : Double(freeBytes) * 100 / Double(totalBytes) }
}
