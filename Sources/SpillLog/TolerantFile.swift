// A file whose disk does not give all of it: one bad sector must not take the batches of a whole segment with it.
//
// Limits: what a read refuses is read again in pieces of `sectorBytes`, `attempts` times each; past `unreadableMax` of them the
// rest of a read is not tried piece by piece.

import Glibc
import LinuxSystem

/// Reads what can be read. What cannot is zeros in the result, and is listed. Used by one thread.
///
/// `@unchecked Sendable`: recovery is one thread.
final class TolerantFile: SpillFile, @unchecked Sendable {
    private static let sectorBytes = 4_096
    private static let attempts = 2
    private static let unreadableMax = 1_024

    private let real: any SpillFile
    /// Bytes that the disk did not give, in the order in which they were asked for.
    private(set) var unreadable: [Range<Int>] = []

    init(_ real: any SpillFile) { self.real = real }

    func size() throws(SystemCallError) -> Int { try real.size() }
    func identity() throws(SystemCallError) -> FileIdentity { try real.identity() }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(SystemCallError) -> Int {
        do throws(SystemCallError) {
            return try real.read(at: offset, into: buffer)
        } catch {
            guard error.code == EIO else { throw error }
        }
        let count = min(buffer.count, max(0, try real.size() - offset))
        var done = 0
        while done < count {
            // To the sector's end on the disk.
            let length = min(Self.sectorBytes - (offset + done) % Self.sectorBytes, count - done)
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + length])
            if try !readSector(at: offset + done, into: piece) {
                piece.initializeMemory(as: UInt8.self, repeating: 0)
                unreadable.append(offset + done..<offset + done + length)
            }
            done += length
        }
        return count
    }

    private func readSector(
        at offset: Int, into piece: UnsafeMutableRawBufferPointer
    ) throws(SystemCallError) -> Bool {
        guard unreadable.count < Self.unreadableMax else { return false }
        for _ in 0..<Self.attempts {
            do throws(SystemCallError) {
                if try real.read(at: offset, into: piece) == piece.count { return true }
            } catch {
                guard error.code == EIO else { throw error }
            }
        }
        return false
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemCallError) {
        try real.write(bytes, at: offset)
    }

    func truncate(to size: Int) throws(SystemCallError) { try real.truncate(to: size) }
    func sync() throws(SystemCallError) { try real.sync() }
    func close() { real.close() }
}
