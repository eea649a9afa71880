// A disk that forgets: what was written and not synced may be there after a power loss or not, sector by sector; a name that
// was made or taken away counts only once the folder is synced; a sync that failed leaves pages that no later sync writes.
//
// Used by one thread.

import Delivery
import Glibc
import LinuxSystem
import SpillLog

/// What the disk may do wrong from now on.
struct DiskFaults {
    /// Calls of a thousand that fail, writes after a part of them.
    var failingPerMille = 0
    /// Nothing can be written, as on a full disk.
    var isFull = false
}

/// A disk in memory.
///
/// `@unchecked Sendable`: a simulation is one thread.
final class SimulatedDisk: SpillFileSystem, @unchecked Sendable {
    /// Smaller than a disk's, so that a batch spans several.
    static let sectorBytes = 64

    fileprivate struct Write {
        let offset: Int
        let bytes: [UInt8]
        /// Its sync failed: it is read, and no sync makes it durable.
        var isForgotten = false
    }

    fileprivate final class Content {
        /// What is read.
        var bytes: [UInt8] = []
        /// What a power loss leaves for certain.
        var durable: [UInt8] = []
        /// In the order in which they were made.
        var pending: [Write] = []
        /// Where the batches are that were written last, and their identity.
        var batches: [(bytes: Range<Int>, identity: BatchIdentity)] = []
    }

    var dice: Dice
    var faults = DiskFaults()
    private(set) var calls = 0
    private var files: [String: Content] = [:]
    private var durableFiles: [String: Content] = [:]
    private(set) var quarantined: [String: [UInt8]] = [:]

    init(dice: Dice) { self.dice = dice }

    var fileCount: Int { files.count }

    /// The power goes: of what was not synced a random part is left.
    func losePower() {
        var after: [String: Content] = [:]
        for name in Set(files.keys).union(durableFiles.keys).sorted() {
            // An entry that changed since the folder was synced is the old one or the new one.
            let isNew = dice.happens(perMille: 500)
            guard let content = isNew ? files[name] : durableFiles[name] else { continue }
            after[name] = content
        }
        for name in after.keys.sorted() { after[name]?.forget(&dice) }
        files = after
        durableFiles = after
    }

    /// Flips a bit in the header of a segment's last batch, as a failing disk does.
    ///
    /// - Returns: the batch, and its bytes after the damage; nil where there is none.
    func damageLastBatch() -> (identity: BatchIdentity, bytes: [UInt8])? {
        let names = files.keys.sorted().filter { files[$0]?.batches.isEmpty == false }
        guard !names.isEmpty, let content = files[names[dice.below(names.count)]], let last = content.batches.last,
            last.bytes.upperBound <= content.bytes.count
        else { return nil }
        let headerBytes = 96
        let bit = dice.below(headerBytes * 8)
        let place = last.bytes.lowerBound + bit / 8
        content.bytes[place] ^= 1 << UInt8(bit % 8)
        content.durable = content.bytes
        content.pending = []
        return (last.identity, Array(content.bytes[last.bytes]))
    }

    /// Whether a file of the quarantine holds these bytes.
    func isInQuarantine(_ bytes: [UInt8]) -> Bool {
        quarantined.values.contains { file in
            guard file.count >= bytes.count else { return false }
            return (0...file.count - bytes.count).contains { file[$0..<$0 + bytes.count].elementsEqual(bytes) }
        }
    }

    // MARK: SpillFileSystem

    fileprivate func fault(_ call: String, changes: Bool) throws(SystemCallError) {
        calls += 1
        if changes, faults.isFull { throw SystemCallError(call: call, code: ENOSPC) }
        if faults.failingPerMille > 0, dice.happens(perMille: faults.failingPerMille) {
            throw SystemCallError(call: call, code: EIO)
        }
    }

    func names() throws(SystemCallError) -> [String] { files.keys.sorted() }

    func create(_ name: String) throws(SystemCallError) -> any SpillFile {
        precondition(files[name] == nil && durableFiles[name] == nil, "the name \(name) is used twice")
        try fault("openat", changes: true)
        let content = Content()
        files[name] = content
        return SimulatedFile(self, content)
    }

    func open(_ name: String, forReading: Bool) throws(SystemCallError) -> any SpillFile {
        guard let content = files[name] else { throw SystemCallError(call: "openat", code: ENOENT, object: name) }
        if forReading, faults.failingPerMille > 0, dice.happens(perMille: faults.failingPerMille) {
            throw SystemCallError(call: "openat", code: EMFILE, object: name)
        }
        return SimulatedFile(self, content)
    }

    func unlink(_ name: String) throws(SystemCallError) {
        guard files[name] != nil else { throw SystemCallError(call: "unlinkat", code: ENOENT, object: name) }
        try fault("unlinkat", changes: false)
        files[name] = nil
    }

    func syncFolder() throws(SystemCallError) {
        try fault("fsync", changes: false)
        durableFiles = files
    }

    func quarantine(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(SystemCallError) {
        try fault("openat", changes: true)
        let kept = quarantined.contains { $0.key.hasPrefix(name) && $0.value.elementsEqual(bytes) }
        if !kept { quarantined[freeName(name)] = Array(bytes) }
    }

    func moveToQuarantine(_ name: String) throws(SystemCallError) {
        try fault("renameat", changes: false)
        quarantined[freeName(name)] = files[name]?.bytes
        files[name] = nil
        durableFiles[name] = nil
    }

    private func freeName(_ name: String) -> String {
        var number = 1
        while quarantined[number == 1 ? name : "\(name)-\(number)"] != nil { number += 1 }
        return number == 1 ? name : "\(name)-\(number)"
    }

    func space() throws(SystemCallError) -> DiskSpace { DiskSpace(freeBytes: 1 << 40, totalBytes: 1 << 40) }

    func identity(of name: String) throws(SystemCallError) -> FileIdentity? { files[name].map(Self.identity) }

    fileprivate static func identity(_ content: Content) -> FileIdentity {
        FileIdentity(
            device: 1, inode: UInt64(UInt(bitPattern: Unmanaged.passUnretained(content).toOpaque())),
            sizeBytes: content.bytes.count)
    }

    func keepPlace() throws(SpillError) -> Bool { false }

    /// A cleaner removes a file, as it does with what it takes for old.
    func removeFromOutside(_ name: String) { files[name] = nil }
}

extension SimulatedDisk.Content {
    /// Makes what was not synced a random part of it.
    fileprivate func forget(_ dice: inout Dice) {
        var left = durable
        for write in pending {
            for start in stride(from: 0, to: write.bytes.count, by: SimulatedDisk.sectorBytes) {
                guard dice.happens(perMille: 500) else { continue }
                let end = min(start + SimulatedDisk.sectorBytes, write.bytes.count)
                left.put(write.bytes[start..<end], at: write.offset + start)
            }
        }
        bytes = left
        durable = left
        pending = []
    }
}

extension [UInt8] {
    fileprivate mutating func put(_ part: some Collection<UInt8>, at offset: Int) {
        if count < offset + part.count { append(contentsOf: repeatElement(0, count: offset + part.count - count)) }
        replaceSubrange(offset..<offset + part.count, with: part)
    }
}

/// A file of the simulated disk.
///
/// `@unchecked Sendable`: a simulation is one thread.
private final class SimulatedFile: SpillFile, @unchecked Sendable {
    private let disk: SimulatedDisk
    private let content: SimulatedDisk.Content
    private var hasFailedToSync = false

    init(_ disk: SimulatedDisk, _ content: SimulatedDisk.Content) {
        self.disk = disk
        self.content = content
    }

    func size() throws(SystemCallError) -> Int { content.bytes.count }
    func identity() throws(SystemCallError) -> FileIdentity { SimulatedDisk.identity(content) }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(SystemCallError) -> Int {
        guard offset < content.bytes.count else { return 0 }
        let part = content.bytes[offset..<min(content.bytes.count, offset + buffer.count)]
        buffer.copyBytes(from: part)
        return part.count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemCallError) {
        do throws(SystemCallError) {
            try disk.fault("pwrite64", changes: true)
        } catch {
            // A part was written before it failed.
            let part = disk.dice.below(bytes.count + 1)
            put(UnsafeRawBufferPointer(rebasing: bytes[..<part]), at: offset)
            throw error
        }
        put(bytes, at: offset)
    }

    private func put(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        guard bytes.count > 0 else { return }
        content.bytes.put(bytes, at: offset)
        if let identity = Self.batchIdentity(bytes) {
            content.batches.append((offset..<offset + bytes.count, identity))
        }
        content.pending.append(SimulatedDisk.Write(offset: offset, bytes: Array(bytes)))
    }

    /// Of a write that is a batch: its record and its frames.
    private static func batchIdentity(_ bytes: UnsafeRawBufferPointer) -> BatchIdentity? {
        func number<Value: FixedWidthInteger>(_ offset: Int, _ type: Value.Type) -> Value {
            Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
        }
        guard bytes.count > 96, bytes[8..<12].elementsEqual(Array("SPWB".utf8)), bytes[13] == 2 else { return nil }
        return BatchIdentity(epoch: number(36, Int64.self), sequence: number(44, Int64.self))
    }

    func truncate(to size: Int) throws(SystemCallError) {
        try disk.fault("ftruncate", changes: false)
        // Journalled with the next sync; a power loss before it may bring the bytes back.
        content.batches.removeAll { $0.bytes.upperBound > size }
        if size < content.bytes.count { content.bytes.removeLast(content.bytes.count - size) }
        if content.durable.count <= size {
            content.pending.removeAll { $0.offset >= size }
        }
    }

    func sync() throws(SystemCallError) {
        precondition(!hasFailedToSync, "a file whose sync failed is synced again")
        do throws(SystemCallError) {
            try disk.fault("fdatasync", changes: false)
        } catch {
            hasFailedToSync = true
            for index in content.pending.indices { content.pending[index].isForgotten = true }
            throw error
        }
        // What an earlier failure forgot stays forgotten, whatever is read now, unless it was written again since.
        for write in content.pending where !write.isForgotten { content.durable.put(write.bytes, at: write.offset) }
        let excess = content.durable.count - content.bytes.count
        if excess > 0 { content.durable.removeLast(excess) }
        if excess < 0 { content.durable.append(contentsOf: repeatElement(0, count: -excess)) }
        // Whatever became of a forgotten write, a later one in its place that is synced has replaced it.
        let replaced = content.pending.enumerated().filter { index, write in
            content.pending[(index + 1)...].contains { later in
                !later.isForgotten && later.offset < write.offset + write.bytes.count
                    && write.offset < later.offset + later.bytes.count
            }
        }.map(\.offset)
        for index in replaced.reversed() { content.pending.remove(at: index) }
        content.pending.removeAll { !$0.isForgotten }
    }

    func close() {}
}
