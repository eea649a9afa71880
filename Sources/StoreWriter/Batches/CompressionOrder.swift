// A batch's rows in the order in which a columnstore keeps them: the rows of a segment together, the newest first. TimescaleDB
// compresses what one COPY brings in groups of a thousand rows of one segment.

import Glibc
import MetricKinds

package enum CompressionOrder {
    private struct Row {
        let time: Int64
        let bytes: Range<Int>
    }

    /// A value of the segment's column, within the bytes of all rows. An absent value is not an empty one.
    private struct Segment: Hashable {
        /// Nil for an absent value.
        let value: UnsafeRawBufferPointer?

        static func == (left: Segment, right: Segment) -> Bool {
            guard let a = left.value, let b = right.value else { return left.value == nil && right.value == nil }
            guard a.count == b.count, let first = a.baseAddress, let second = b.baseAddress else {
                return a.count == b.count
            }
            return memcmp(first, second, a.count) == 0
        }

        func hash(into hasher: inout Hasher) {
            if let value { hasher.combine(bytes: value) }
        }
    }

    /// The rows of a table with COPY's header, sorted; segments stand in the order in which they appear first. O(bytes), and
    /// O(n log n) for the n rows of a segment that come in no order of time.
    package static func sorted(_ kind: MetricKind, _ bytes: UnsafeRawBufferPointer, rowCount: Int) -> [UInt8] {
        guard let column = kind.columnIndex(named: kind.segmentColumn) else {
            preconditionFailure("a kind's segment is one of its columns")
        }
        var rows: [Row] = []
        var segmentOfRow: [Int] = []
        rows.reserveCapacity(rowCount)
        segmentOfRow.reserveCapacity(rowCount)
        var numbers: [Segment: Int] = [:]
        var counts: [Int] = []
        var last: (segment: Segment, number: Int)?
        CopyRows.forEachRow(bytes, field: 1 + column) { row, value in
            let segment = Segment(value: value.map { UnsafeRawBufferPointer(rebasing: bytes[$0]) })
            let number: Int
            if let last, last.segment == segment {
                number = last.number
            } else {
                number = numbers[segment] ?? counts.count
                if number == counts.count {
                    numbers[segment] = number
                    counts.append(0)
                }
                last = (segment, number)
            }
            counts[number] += 1
            segmentOfRow.append(number)
            rows.append(Row(time: CopyRowWriter.time(ofRowAt: row.lowerBound, in: bytes), bytes: row))
        }
        var next: [Int] = []
        var place = 0
        for count in counts {
            next.append(place)
            place += count
        }
        let order = [Row](unsafeUninitializedCapacity: rows.count) { order, count in
            for (row, segment) in zip(rows, segmentOfRow) {
                (order.baseAddress! + next[segment]).initialize(to: row)
                next[segment] += 1
            }
            count = rows.count
            for (end, count) in zip(next, counts) {
                var segment = UnsafeMutableBufferPointer(rebasing: order[end - count..<end])
                segment.sort { $0.time > $1.time }
            }
        }
        return [UInt8](unsafeUninitializedCapacity: bytes.count) { sorted, count in
            guard let target = UnsafeMutableRawPointer(sorted.baseAddress), let source = bytes.baseAddress else {
                return
            }
            memcpy(target, source, CopyTable.headerBytes)
            count = CopyTable.headerBytes
            for row in order {
                memcpy(target + count, source + row.bytes.lowerBound, row.bytes.count)
                count += row.bytes.count
            }
        }
    }
}
