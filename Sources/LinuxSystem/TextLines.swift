// The lines of a text that an editor, the kernel or another program wrote. Swift's own splitting by "\n" compares characters,
// and CR LF is one character that differs from LF: a file from Windows would be one single line.

/// The lines of a text without their ends, which are LF, CR LF or CR. A byte order mark before the first line is left out.
///
/// - Returns: one line more than there are line ends, so that a line's number is its index and 1. The last one is empty where
///   the text ends with a line end.
/// - Complexity: O(bytes).
public func textLines(_ text: some StringProtocol) -> [Substring] {
    let text = Substring(text).utf8
    var lines: [Substring] = []
    var start = text.starts(with: byteOrderMark) ? text.index(text.startIndex, offsetBy: 3) : text.startIndex
    var index = start
    while index < text.endIndex {
        let byte = text[index]
        let next = text.index(after: index)
        if byte == 0x0A {
            lines.append(Substring(text[start..<index]))
            start = next
        } else if byte == 0x0D {
            lines.append(Substring(text[start..<index]))
            start = next < text.endIndex && text[next] == 0x0A ? text.index(after: next) : next
        }
        index = max(next, start)
    }
    lines.append(Substring(text[start...]))
    return lines
}

/// U+FEFF in UTF-8, with which some editors begin a file.
public let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

/// What a file is that is not the UTF-8 text that was expected, judged by its first bytes, and how to turn it into that; nil when
/// they say nothing.
public func foreignText(_ bytes: some Collection<UInt8>) -> String? {
    let first = Array(bytes.prefix(4))
    if first.starts(with: [0xFF, 0xFE]) || first.starts(with: [0xFE, 0xFF]) {
        return "it is UTF-16: save it as UTF-8, or convert it with iconv -f UTF-16 -t UTF-8"
    }
    // The first letter of UTF-16 without a byte order mark.
    if first.count >= 2, (first[0] == 0) != (first[1] == 0) {
        return "it has zero bytes as UTF-16 has them: save it as UTF-8, or convert it with iconv -f UTF-16 -t UTF-8"
    }
    if first.starts(with: [0x1F, 0x8B]) { return "it is compressed by gzip: unpack it with gzip -dc" }
    if first.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) { return "it is compressed by zstd: unpack it with zstd -dc" }
    if first.starts(with: [0x04, 0x22, 0x4D, 0x18]) { return "it is compressed by LZ4: unpack it with lz4 -dc" }
    return nil
}
