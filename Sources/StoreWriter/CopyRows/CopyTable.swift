// The rows of one table in the binary format of COPY, as they go to the server: a header, rows, a trailer.
// Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". Everything is big-endian.

import Glibc
import MetricKinds

/// One table's rows. Its memory grows to what a batch needs; `CopyRowWriter` decides how much of it is kept.
package struct CopyTable {
    /// "PGCOPY\n\xFF\r\n\0", no flags, no extension.
    package static let header: [UInt8] = [
        0x50, 0x47, 0x43, 0x4F, 0x50, 0x59, 0x0A, 0xFF, 0x0D, 0x0A, 0x00, 0, 0, 0, 0, 0, 0, 0, 0,
    ]
    package static let headerBytes = 19
    package static let trailerBytes = 2
    private static let firstCapacity = 64 << 10

    package var base: UnsafeMutableRawPointer
    /// Bytes in use. `headerBytes` when there is no row.
    package var count: Int
    package var capacity: Int
    package var rowCount = 0

    package init() {
        capacity = Self.firstCapacity
        base = .allocate(byteCount: capacity, alignment: 16)
        count = Self.headerBytes
        Self.header.withUnsafeBytes { base.copyMemory(from: $0.baseAddress!, byteCount: Self.headerBytes) }
    }

    package func deallocate() { base.deallocate() }

    /// Makes room for so many bytes behind `used`, which is at least `count`. Amortised O(1).
    package mutating func grow(used: Int, by bytes: Int) {
        capacity = max(capacity * 2, used + bytes)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        memcpy(larger, base, used)
        base.deallocate()
        base = larger
    }

    package mutating func removeAll() {
        count = Self.headerBytes
        rowCount = 0
    }
}
