// Where rows begin and end in a COPY that was made here.

/// Walks rows in the binary form.
package enum CopyRows {
    /// Where each row begins, and where the last one ends. O(bytes).
    package static func rowOffsets(_ bytes: UnsafeRawBufferPointer) -> [Int] {
        var offsets = [CopyTable.headerBytes]
        forEachRow(bytes) { row, _ in offsets.append(row.upperBound) }
        return offsets
    }

    /// Where the first of these rows ends. O(columns).
    package static func firstRowEnd(_ bytes: UnsafeRawBufferPointer) -> Int {
        var offset = 2
        for _ in 0..<Int(Int16(bigEndian: bytes.loadUnaligned(as: Int16.self))) {
            offset += 4 + max(Int(Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self))), 0)
        }
        return offset
    }

    /// Visits the rows after COPY's header, each with the place of one of its fields; nil where that is absent. O(bytes).
    @inline(__always)
    package static func forEachRow(
        _ bytes: UnsafeRawBufferPointer, field: Int = 0, _ body: (_ row: Range<Int>, _ value: Range<Int>?) -> Void
    ) {
        var offset = CopyTable.headerBytes
        while offset < bytes.count {
            let start = offset
            var value: Range<Int>?
            let fields = Int(Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int16.self)))
            offset += 2
            for index in 0..<fields {
                let length = Int(Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)))
                offset += 4
                if index == field, length >= 0 { value = offset..<offset + length }
                offset += max(length, 0)
            }
            body(start..<offset, value)
        }
    }
}
