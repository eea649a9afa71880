// JSONB's text in the form of records' lines: without spaces, and with numbers that `encode` takes.

import FrameCodec

/// JSON as JSONB prints it without the spaces between its parts. JSONB writes out every zero of a number: one that is
/// longer than records may have it gets an exponent instead. O(n).
func compactJSON(_ text: String) -> String {
    let input = Array(text.utf8)
    var output: [UInt8] = []
    output.reserveCapacity(input.count)
    var position = 0
    while position < input.count {
        let start = position
        switch input[position] {
        case UInt8(ascii: " "):
            position += 1
            continue
        case UInt8(ascii: "\""): position = endOfString(input, position)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            while position < input.count, isOfNumber(input[position]) { position += 1 }
            if position - start > FrameLimits.jsonNumberBytesMax {
                output.append(contentsOf: withExponent(input[start..<position]))
                continue
            }
        default: position += 1
        }
        output.append(contentsOf: input[start..<position])
    }
    return String(decoding: output, as: UTF8.self)
}

/// The position behind the string that begins here.
private func endOfString(_ bytes: [UInt8], _ start: Int) -> Int {
    var position = start + 1
    while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
        position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
    }
    return min(position + 1, bytes.count)
}

private func isOfNumber(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
}

/// The same value as a whole number and a power of ten.
private func withExponent(_ number: ArraySlice<UInt8>) -> [UInt8] {
    let isNegative = number.first == UInt8(ascii: "-")
    let parts = number.dropFirst(isNegative ? 1 : 0).split(separator: UInt8(ascii: "."))
    let fraction = parts.count > 1 ? parts[1] : []
    var digits = Array(parts[0] + fraction).drop { $0 == UInt8(ascii: "0") }
    var exponent = -fraction.count
    while digits.last == UInt8(ascii: "0") {
        digits.removeLast()
        exponent += 1
    }
    guard !digits.isEmpty else { return [UInt8(ascii: "0")] }
    return (isNegative ? [UInt8(ascii: "-")] : []) + digits + Array("e\(exponent)".utf8)
}
