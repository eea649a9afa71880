// What the data directory says about itself, read before anything of PostgreSQL runs.

import Glibc

package struct EmbeddedData: Equatable, Sendable {
    /// The version whose programs created the data, and the only one that can run it.
    package let majorVersion: String
    /// The user that the server ran as.
    package let owner: UInt32

    /// Nil where there is no data.
    ///
    /// - Parameter path: the directory of the embedded server.
    /// - Throws: for a folder `data` that is not PostgreSQL's, such as the empty folder under a missing mount.
    package init?(in path: String) throws(EmbeddedServerError) {
        let data = path + "/data"
        var status = stat()
        guard stat(data, &status) == 0 else {
            guard errno == ENOENT || errno == ENOTDIR else {
                throw .directoryNotUsable(path: path, reason: "\(data): \(String(cString: strerror(errno)))")
            }
            return nil
        }
        let file = data + "/PG_VERSION"
        guard access(file, F_OK) == 0 || errno != ENOENT else {
            throw .directoryNotUsable(
                path: path,
                reason: "\(file) is missing, so its data is not a whole database: mount it or restore it from a "
                    + "backup, or name another directory")
        }
        majorVersion = try Files.text(of: file).filter { !$0.isWhitespace }
        // PostgreSQL before 10 has two numbers: 9.6.
        let numbers = majorVersion.split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count <= 2, numbers.allSatisfy({ UInt16($0) != nil }) else {
            throw .directoryNotUsable(
                path: path,
                reason:
                    "\(file) holds no version, so its data is damaged: restore it from a backup, or name another directory"
            )
        }
        owner = status.st_uid
    }
}
