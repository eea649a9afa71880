// A batch's rows in the order in which a columnstore keeps them: by the segment's column, and by time within it. TimescaleDB
// compresses what one COPY brings in groups of a thousand rows; rows that belong together fill a group.

import Glibc
import MetricKinds

enum CompressionOrder {
    /// What a row is sorted by, and where it stands.
    private struct Key {
        /// The value's bytes among those of all rows; an absent value comes first.
        let segment: Range<Int>
        let time: Int64
        let row: Range<Int>
    }

    /// The rows of a table with COPY's header, sorted. O(n log n) for n rows.
    static func sorted(_ kind: MetricKind, _ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        let field = 1 + (kind.columnIndex(named: kind.segmentColumn) ?? 0)
        let offsets = RowIsolation.rowOffsets(bytes)
        var keys: [Key] = []
        keys.reserveCapacity(offsets.count - 1)
        for index in 0..<offsets.count - 1 {
            keys.append(
                Key(
                    segment: value(of: field, ofRowAt: offsets[index], in: bytes),
                    time: CopyRowWriter.time(ofRowAt: offsets[index], in: bytes),
                    row: offsets[index]..<offsets[index + 1]))
        }
        keys.sort { left, right in
            let order = compare(left.segment, right.segment, in: bytes)
            // As the tables are compressed: `time DESC`.
            return order == 0 ? left.time > right.time : order < 0
        }
        return [UInt8](unsafeUninitializedCapacity: bytes.count) { sorted, count in
            guard let target = UnsafeMutableRawPointer(sorted.baseAddress), let source = bytes.baseAddress else {
                return
            }
            memcpy(target, source, CopyTable.headerBytes)
            count = CopyTable.headerBytes
            for key in keys {
                memcpy(target + count, source + key.row.lowerBound, key.row.count)
                count += key.row.count
            }
        }
    }

    private static func value(of field: Int, ofRowAt offset: Int, in bytes: UnsafeRawBufferPointer) -> Range<Int> {
        var offset = offset + 2
        for index in 0... {
            let length = Int(Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)))
            offset += 4
            if index == field { return offset..<offset + max(length, 0) }
            offset += max(length, 0)
        }
        preconditionFailure("a row has as many fields as its table has columns")
    }

    private static func compare(_ left: Range<Int>, _ right: Range<Int>, in bytes: UnsafeRawBufferPointer) -> Int32 {
        guard let base = bytes.baseAddress else { return 0 }
        let order = memcmp(base + left.lowerBound, base + right.lowerBound, min(left.count, right.count))
        return order == 0 ? Int32(left.count - right.count) : order
    }
}
