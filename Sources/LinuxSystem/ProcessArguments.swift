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
    for word in bytes.ranges(of: Array("password".utf8)) {
        let rest = bytes[word.upperBound...].drop { $0 == UInt8(ascii: " ") || (9...13).contains($0) }
        guard rest.first == UInt8(ascii: "=") else { continue }
        let start = rest.startIndex + 1
        return start < bytes.count ? start..<bytes.count : nil
    }
    return nil
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
