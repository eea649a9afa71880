// The arguments of this process as other users of the machine see them: by `ps` and in /proc/PID/cmdline.

import CLinux
import Glibc

/// The part of an argument that holds a password of a database's address: in a URL what stands between the user and the
/// host, and whatever follows `password =`, in a URL's query as in libpq's keywords. Too much rather than too little.
///
/// - Returns: offsets in UTF-8, or nil when there is none. O(length).
public func passwordRange(inArgument argument: String) -> Range<Int>? {
    let bytes = Array(argument.utf8)
    let found = [userPassword(bytes), keywordPassword(bytes)].compactMap(\.self)
    guard let start = found.map(\.lowerBound).min(), let end = found.map(\.upperBound).max() else { return nil }
    return start..<end
}

private func userPassword(_ bytes: [UInt8]) -> Range<Int>? {
    guard let scheme = bytes.firstRange(of: Array("://".utf8)),
        let end = bytes[scheme.upperBound...].lastIndex(of: UInt8(ascii: "@")),
        let colon = bytes[scheme.upperBound..<end].firstIndex(of: UInt8(ascii: ":")), colon + 1 < end
    else { return nil }
    return colon + 1..<end
}

private func keywordPassword(_ bytes: [UInt8]) -> Range<Int>? {
    // In a URL the word may be written with percent signs, each letter of it.
    let letters = unescaped(bytes)
    let text = letters.map(\.byte)
    for word in text.ranges(of: Array("password".utf8)) {
        // A record's own field, as in `--where tags.password=x`.
        if word.lowerBound > 0, text[word.lowerBound - 1] == UInt8(ascii: ".") { continue }
        let rest = text[word.upperBound...].drop { $0 == UInt8(ascii: " ") || (9...13).contains($0) }
        guard rest.first == UInt8(ascii: "=") else { continue }
        let start = letters[rest.startIndex].end
        return start < bytes.count ? start..<bytes.count : nil
    }
    return nil
}

/// The bytes that a URL means, each with the offset behind what stands for it.
private func unescaped(_ bytes: [UInt8]) -> [(byte: UInt8, end: Int)] {
    var letters: [(byte: UInt8, end: Int)] = []
    letters.reserveCapacity(bytes.count)
    var offset = 0
    while offset < bytes.count {
        var byte = bytes[offset]
        offset += 1
        if byte == UInt8(ascii: "%"), offset + 2 <= bytes.count,
            bytes[offset] != UInt8(ascii: "+"), bytes[offset] != UInt8(ascii: "-"),
            let value = UInt8(String(decoding: bytes[offset..<offset + 2], as: UTF8.self), radix: 16)
        {
            byte = value
            offset += 2
        }
        letters.append((byte, offset))
    }
    return letters
}

/// Overwrites the passwords in the arguments of this process with stars. Call it before other threads start, and behind the
/// first use of `CommandLine.arguments`, which keeps a copy.
///
/// - Returns: what was overwritten. Until this call anybody could read it: it belongs elsewhere.
public func hidePasswordsInArguments() -> [String] {
    var hidden: [String] = []
    for index in 1..<max(1, spillway_argument_count()) {
        guard let argument = spillway_argument(index) else { continue }
        let text = String(cString: argument)
        guard let range = passwordRange(inArgument: text) else { continue }
        // The offsets hold unless the argument is not UTF-8 and was repaired, which makes it longer.
        let end = min(range.upperBound, strlen(argument))
        guard range.lowerBound < end else { continue }
        hidden.append(String(decoding: Array(text.utf8)[range], as: UTF8.self))
        memset(argument + range.lowerBound, Int32(UInt8(ascii: "*")), end - range.lowerBound)
    }
    return hidden
}
