// Paths as the process sees them.

import Glibc

/// The path below the working directory, for advice in messages: links and dots stay as they are.
public func absolutePath(_ path: String) -> String {
    if path.hasPrefix("/") { return path }
    guard let folder = getcwd(nil, 0) else { return "/" + path }
    defer { free(folder) }
    let name = path.hasPrefix("./") ? String(path.dropFirst(2)) : path
    let parent = String(cString: folder)
    return (parent == "/" ? "" : parent) + "/" + name
}

/// A folder's own path, where `path` is a symbolic link to it: an operator may keep data on another disk. Anything else, also a
/// path that is not there, is returned as it is.
///
/// - Throws: for a link that belongs to another user than root or this one, who could exchange what is behind it, and for one that
///   leads nowhere.
public func followingLink(_ path: String) throws(LinkError) -> String {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK else { return path }
    guard status.st_uid == 0 || status.st_uid == geteuid() else {
        throw LinkError("\(path) is a symbolic link of user id \(status.st_uid): name the folder itself")
    }
    guard let real = realpath(path, nil) else {
        throw LinkError("\(path) is a symbolic link that leads nowhere: \(String(cString: strerror(errno)))")
    }
    defer { free(real) }
    return String(cString: real)
}

/// A symbolic link that is not followed.
public struct LinkError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}
