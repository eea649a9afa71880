// A row of each kind that its table took before: whether the table still takes it says whether a refusal is the table's.
//
// Limits: a row of up to `rowBytesMax` for each kind.

import LinuxSystem
import MetricKinds

/// The rows of one lane. Used by one thread.
public final class AcceptedRows {
    private static let rowBytesMax = 4_096

    private var rows: [MetricKind: [UInt8]] = [:]

    public init() {}

    /// The tables have taken these rows. O(columns) for a kind that is new here, else O(1).
    package func note(_ stored: borrowing CopyRowWriter) {
        for kind in MetricKind.allCases where rows[kind] == nil && stored.rowCount(kind) > 0 {
            stored.withRows(kind) { note(kind, UnsafeRawBufferPointer(rebasing: $0[CopyTable.headerBytes...])) }
        }
    }

    /// The kind's table has taken the first of these rows.
    package func note(_ kind: MetricKind, _ bytes: UnsafeRawBufferPointer) {
        guard rows[kind] == nil else { return }
        let end = CopyRows.firstRowEnd(bytes)
        if end <= Self.rowBytesMax { rows[kind] = Array(bytes[..<end]) }
    }

    /// COPY's data with one row of the present time: one that the table took before, or else one without any value.
    package func trial(_ kind: MetricKind) -> [UInt8] { rows[kind].map { Self.data($0) } ?? Self.empty(kind) }

    /// A row that has nothing but its time.
    package static func empty(_ kind: MetricKind) -> [UInt8] {
        var row: [UInt8] = []
        func put<T: FixedWidthInteger>(_ value: T) { withUnsafeBytes(of: value.bigEndian) { row += $0 } }
        put(Int16(kind.columns.count + 3))
        put(Int32(8))
        put(Int64(0))
        for _ in 0..<kind.columns.count + 2 { put(Int32(-1)) }
        return data(row)
    }

    private static func data(_ row: [UInt8]) -> [UInt8] {
        var data = CopyTable.header + row
        let now = wallClockMicroseconds() - CopyRowWriter.unixToPostgreSQLMicroseconds
        // Its first field, after the number of fields and the length.
        let start = CopyTable.headerBytes + 6
        withUnsafeBytes(of: now.bigEndian) { data.replaceSubrange(start..<start + 8, with: $0) }
        return data
    }
}
