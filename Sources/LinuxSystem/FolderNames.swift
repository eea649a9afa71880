// The names in a folder. One that cannot be read is not an empty one: the caller decides what that means.

import Glibc

/// The names in a folder without `.` and `..`, in no order. O(names).
///
/// - Parameter limit: the most names; the rest is not read.
/// - Throws: also when only a part could be read.
public func folderNames(_ path: String, atMost limit: Int = .max) throws(SystemCallError) -> [String] {
    guard let stream = opendir(path) else { throw SystemCallError(call: "opendir", code: errno, object: path) }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while names.count < limit, let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
        errno = 0
    }
    guard errno == 0 else { throw SystemCallError(call: "readdir", code: errno, object: path) }
    return names
}

/// The same where a folder that cannot be read counts as empty.
public func readableFolderNames(_ path: String, atMost limit: Int = .max) -> [String] {
    do throws(SystemCallError) { return try folderNames(path, atMost: limit) } catch { return [] }
}
