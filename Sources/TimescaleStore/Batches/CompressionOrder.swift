// A batch's rows in the order in which a columnstore keeps them: the rows of a segment together, the newest first. TimescaleDB
// compresses what one COPY brings in groups of a thousand rows of one segment. By default it sorts the rows itself; where
// its order is ours, it is told not to.

import Glibc
import MetricKinds

enum CompressionOrder {
    private static let sortSetting = "timescaledb.enable_direct_compress_copy_sort_batches"

    /// Lets the server take a table's rows in the order of `sorted` until the transaction ends.
    ///
    /// Compressed rows that do not stand in the order of their chunk's settings come back in the wrong order from a question
    /// with ORDER BY. So the server keeps sorting unless the table and all of its chunks have the order that `sorted` makes;
    /// the lock keeps `ALTER TABLE` from changing that.
    static func takeAsSorted(_ kind: MetricKind, _ connection: DatabaseConnection) throws(DatabaseError) {
        let table = SchemaSQL.table(kind)
        try connection.execute(
            """
            LOCK TABLE ONLY \(table) IN ROW EXCLUSIVE MODE; \
            SELECT set_config('\(sortSetting)', CASE WHEN bool_and((segmentby, orderby) \
            IS NOT DISTINCT FROM ('\(kind.segmentColumn)', '"time" DESC')) THEN 'off' ELSE 'on' END, true) FROM (\
            SELECT segmentby, orderby FROM timescaledb_information.hypertable_compression_settings \
            WHERE hypertable = '\(table)'::regclass UNION ALL \
            SELECT segmentby, orderby FROM timescaledb_information.chunk_compression_settings \
            WHERE hypertable = '\(table)'::regclass) settings \
            HAVING current_setting('\(sortSetting)', true) IS NOT NULL
            """, operation: "asking by what a table is compressed")
    }

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
    static func sorted(_ kind: MetricKind, _ bytes: UnsafeRawBufferPointer, rowCount: Int) -> [UInt8] {
        let field = 1 + (kind.columnIndex(named: kind.segmentColumn) ?? 0)
        var rows: [Row] = []
        var segmentOfRow: [Int] = []
        rows.reserveCapacity(rowCount)
        segmentOfRow.reserveCapacity(rowCount)
        var numbers: [Segment: Int] = [:]
        var counts: [Int] = []
        var last: (segment: Segment, number: Int)?
        RowIsolation.forEachRow(bytes, field: field) { row, value in
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
