// Large numbers for people.

/// A number with commas between its thousands.
package func grouped(_ value: UInt64) -> String {
    var out = ""
    for (index, digit) in String(value).reversed().enumerated() {
        if index > 0, index % 3 == 0 { out.append(",") }
        out.append(digit)
    }
    return String(out.reversed())
}
