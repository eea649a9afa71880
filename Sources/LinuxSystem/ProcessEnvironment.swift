// The variables of this process, without Foundation.

import CLinux

/// The variables of this process. O(their bytes). Not to be called beside `setenv`, which nothing here uses.
public func processEnvironment() -> [String: String] {
    var variables: [String: String] = [:]
    var entry = spillway_environment()
    while let text = entry?.pointee {
        let line = String(cString: text)
        // By bytes: a value that begins with a combining character makes one character with the equals sign.
        if let equals = line.utf8.firstIndex(of: UInt8(ascii: "=")), equals != line.startIndex {
            variables[String(line[..<equals])] = String(line[line.utf8.index(after: equals)...])
        }
        entry = entry?.advanced(by: 1)
    }
    return variables
}
