// Binary COPY streams by hand, so that the connection's tests need no encoder.

/// Rows of (bigint, text).
package struct CopyBytes {
    package init() {}

    package private(set) var bytes: [UInt8] =
        Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0] + [UInt8](repeating: 0, count: 8)

    package mutating func appendRow(_ number: Int64, _ text: [UInt8]) {
        append(Int16(2))
        append(Int32(8))
        append(number)
        append(Int32(text.count))
        bytes += text
    }

    package mutating func end() { append(Int16(-1)) }

    private mutating func append<Integer: FixedWidthInteger>(_ value: Integer) {
        withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
    }
}
