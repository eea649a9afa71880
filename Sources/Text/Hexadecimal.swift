// Source, session and other 64-bit identities, as people see them everywhere.

/// The value in lower-case hexadecimal, with leading zeros.
package func hexadecimal(_ value: UInt64, digits count: Int = 16) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, count - digits.count)) + digits
}
