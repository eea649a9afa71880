// The spill's folder on a real disk. Everything is opened relative to the folder's descriptor, links are not followed.

import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// A folder of this machine.
public final class LinuxFileSystem: SpillFileSystem {
    static let quarantineName = "quarantine"

    private let path: String
    private let folder: Int32
    private let place: SpillPlace?

    /// - Parameters:
    ///   - folder: the folder's descriptor, which is closed with this object.
    ///   - place: what keeps the folder at its path; nil for a reader, which owns nothing.
    init(path: String, folder: Int32, place: SpillPlace? = nil) {
        self.path = path
        self.folder = folder
        self.place = place
    }

    deinit { Glibc.close(folder) }

    private func object(_ name: String) -> String { path + "/" + name }

    public func names() throws(SystemCallError) -> [String] {
        let copy = try descriptor("openat", ".", O_RDONLY | O_DIRECTORY)
        guard let stream = fdopendir(copy) else {
            let error = SystemCallError(call: "fdopendir", code: errno, object: path)
            Glibc.close(copy)
            throw error
        }
        defer { closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            var status = stat()
            if fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFREG {
                names.append(name)
            }
            errno = 0
        }
        guard errno == 0 else { throw SystemCallError(call: "readdir", code: errno, object: path) }
        return names
    }

    public func create(_ name: String) throws(SystemCallError) -> any SpillFile {
        LinuxFile(object(name), try descriptor("openat", name, O_RDWR | O_CREAT | O_EXCL))
    }

    public func open(_ name: String, forReading: Bool) throws(SystemCallError) -> any SpillFile {
        // A pipe of that name must not hold up the start.
        LinuxFile(object(name), try descriptor("openat", name, (forReading ? O_RDONLY : O_RDWR) | O_NONBLOCK))
    }

    public func unlink(_ name: String) throws(SystemCallError) {
        try checkedCall("unlinkat", object: object(name)) { Int(unlinkat(folder, name, 0)) }
    }

    public func syncFolder() throws(SystemCallError) { try sync(folder, path) }

    public func quarantine(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(SystemCallError) {
        let quarantine = try quarantineFolder()
        defer { Glibc.close(quarantine) }
        if try holds(bytes, name, in: quarantine) {
            // An earlier start has kept it already.
            return try sync(quarantine, object(Self.quarantineName))
        }
        let free = try freeName(name, in: quarantine)
        let opened = try checkedCall("openat", object: object(free)) {
            Int(openat(quarantine, free, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600))
        }
        let file = LinuxFile(object(Self.quarantineName + "/" + free), Int32(opened))
        do throws(SystemCallError) {
            try file.write(bytes, at: 0)
            try file.sync()
        } catch {
            // Half a copy helps nobody and may be what fills the disk.
            _ = unlinkat(quarantine, free, 0)
            throw error
        }
        try sync(quarantine, object(Self.quarantineName))
    }

    public func moveToQuarantine(_ name: String) throws(SystemCallError) {
        let quarantine = try quarantineFolder()
        defer { Glibc.close(quarantine) }
        let free = try freeName(name, in: quarantine)
        try checkedCall("renameat", object: object(name)) { Int(renameat(folder, name, quarantine, free)) }
        try sync(quarantine, object(Self.quarantineName))
        try syncFolder()
    }

    public func space() throws(SystemCallError) -> DiskSpace {
        var status = statvfs()
        try checkedCall("fstatvfs", object: path) { Int(fstatvfs(folder, &status)) }
        return DiskSpace(
            freeBytes: UInt64(status.f_bavail) * UInt64(status.f_frsize),
            totalBytes: UInt64(status.f_blocks) * UInt64(status.f_frsize))
    }

    public func identity(of name: String) throws(SystemCallError) -> FileIdentity? {
        var status = stat()
        do throws(SystemCallError) {
            try checkedCall("fstatat", object: object(name)) {
                Int(fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW))
            }
        } catch {
            guard error.code == ENOENT else { throw error }
            return nil
        }
        return FileIdentity(status)
    }

    public func keepPlace() throws(SpillError) -> Bool { try place?.keep() ?? false }

    // MARK: Parts

    private func descriptor(
        _ call: StaticString, _ name: String, _ flags: Int32
    ) throws(SystemCallError) -> Int32 {
        Int32(
            try checkedCall(call, object: object(name)) {
                Int(openat(folder, name, flags | O_NOFOLLOW | O_CLOEXEC, 0o600))
            })
    }

    private func quarantineFolder() throws(SystemCallError) -> Int32 {
        if mkdirat(folder, Self.quarantineName, 0o700) != 0, errno != EEXIST {
            throw SystemCallError(call: "mkdirat", code: errno, object: object(Self.quarantineName))
        }
        // Also where it is there: the start that made it may not have come so far.
        try syncFolder()
        return try descriptor("openat", Self.quarantineName, O_RDONLY | O_DIRECTORY)
    }

    /// Whether the quarantine's file of that name has these very bytes: another end of the same segment may have had its place
    /// and size.
    private func holds(
        _ bytes: UnsafeRawBufferPointer, _ name: String, in quarantine: Int32
    ) throws(SystemCallError) -> Bool {
        var status = stat()
        guard fstatat(quarantine, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_size == bytes.count,
            status.st_mode & S_IFMT == S_IFREG
        else { return false }
        let object = object(Self.quarantineName + "/" + name)
        let opened = try checkedCall("openat", object: object) {
            Int(openat(quarantine, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC))
        }
        let file = LinuxFile(object, Int32(opened))
        let kept = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        defer { kept.deallocate() }
        let count = try file.read(at: 0, into: kept)
        return count == bytes.count && bytes.elementsEqual(kept)
    }

    private func freeName(_ name: String, in quarantine: Int32) throws(SystemCallError) -> String {
        var candidate = name
        var number = 1
        var status = stat()
        while fstatat(quarantine, candidate, &status, AT_SYMLINK_NOFOLLOW) == 0 {
            number += 1
            candidate = "\(name)-\(number)"
        }
        guard errno == ENOENT else { throw SystemCallError(call: "fstatat", code: errno, object: object(name)) }
        return candidate
    }

    private func sync(_ descriptor: Int32, _ object: String) throws(SystemCallError) {
        // Not tried again, whatever the error: see `SpillFile.sync`.
        guard fsync(descriptor) == 0 else { throw SystemCallError(call: "fsync", code: errno, object: object) }
    }
}

/// A file of this machine.
final class LinuxFile: SpillFile {
    private let object: String
    /// -1 once it is closed.
    private let descriptor: Atomic<Int32>

    init(_ object: String, _ descriptor: Int32) {
        self.object = object
        self.descriptor = Atomic(descriptor)
    }

    deinit { close() }

    // Relaxed: who closes a file does not share it with who uses it.
    private var number: Int32 { descriptor.load(ordering: .relaxed) }

    func size() throws(SystemCallError) -> Int {
        var status = stat()
        try checkedCall("fstat", object: object) { Int(fstat(number, &status)) }
        return status.st_size
    }

    func identity() throws(SystemCallError) -> FileIdentity {
        var status = stat()
        try checkedCall("fstat", object: object) { Int(fstat(number, &status)) }
        return FileIdentity(status)
    }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(SystemCallError) -> Int {
        var done = 0
        while done < buffer.count {
            let count = try checkedCall("pread64", object: object) {
                pread(number, buffer.baseAddress.map { $0 + done }, buffer.count - done, offset + done)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemCallError) {
        var done = 0
        while done < bytes.count {
            let count = try checkedCall("pwrite64", object: object) {
                pwrite(number, bytes.baseAddress.map { $0 + done }, bytes.count - done, offset + done)
            }
            // No progress and no error: there is no sense in going on.
            guard count > 0 else { throw SystemCallError(call: "pwrite64", code: ENOSPC, object: object) }
            done += count
        }
        if bytes.count >= Self.writebackBytesMin { try beginWriteback(at: offset, byteCount: bytes.count) }
    }

    /// From so many bytes on the disk is told of a write. Several small ones share a page, which would be written for each.
    private static let writebackBytesMin = 16 << 10

    /// The disk writes while the next batch is compressed, instead of when a sync waits for it.
    ///
    /// - Throws: what the write would have thrown: where blocks are found for the bytes as late as here, they are lost when
    ///   there are none, and a later sync need not know of it. Kernels and sandboxes without the call do as before.
    private func beginWriteback(at offset: Int, byteCount: Int) throws(SystemCallError) {
        do throws(SystemCallError) {
            try checkedCall("sync_file_range", object: object) {
                Int(spillway_begin_writeback(number, offset, byteCount))
            }
        } catch {
            guard [ENOSYS, EPERM, EINVAL, EOPNOTSUPP, ESPIPE].contains(error.code) else { throw error }
        }
    }

    func truncate(to size: Int) throws(SystemCallError) {
        try checkedCall("ftruncate", object: object) { Int(ftruncate(number, size)) }
    }

    func sync() throws(SystemCallError) {
        // Not tried again, whatever the error: see `SpillFile.sync`.
        guard fdatasync(number) == 0 else { throw SystemCallError(call: "fdatasync", code: errno, object: object) }
    }

    func close() {
        let number = descriptor.exchange(-1, ordering: .relaxed)
        if number >= 0 { Glibc.close(number) }
    }
}

extension FileIdentity {
    fileprivate init(_ status: stat) {
        self.init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino), sizeBytes: Int(status.st_size))
    }
}
