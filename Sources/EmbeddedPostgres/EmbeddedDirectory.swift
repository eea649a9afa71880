// The directory of an embedded server:
//
//     DIR/              0700, the server's user
//         lock          flock of the collector that uses the directory
//         data/         PostgreSQL's own
//         socket/       0700, the unix socket
//         password      0600, of user postgres for connections over TCP
//         port          the TCP port of the last run
//         server.log    what the server wrote, and server.log.1; see EmbeddedLog
//     DIR.created       says that DIR has held a database, also when DIR is a mount that is missing
//
// Invariants:
// - `data` exists only complete, since it is made under another name.
// - `port` and `DIR.created` are written after the first success: where one exists, a missing `data` was lost and is not created
//   anew.
// - One collector uses the directory. It holds a lock on `lock`, and one on the directory itself, since a file can be removed.

import Glibc
import LinuxSystem
import Logging

package struct EmbeddedDirectory: Sendable {
    package let path: String
    package let owner: UserID

    package var data: String { path + "/data" }
    package var socket: String { path + "/socket" }
    package var password: String { path + "/password" }
    package var port: String { path + "/port" }
    package var log: EmbeddedLog { EmbeddedLog(path: path + "/server.log") }
    package var lock: String { path + "/lock" }
    package var marker: String { path + ".created" }

    /// sockaddr_un holds 107 bytes and their zero.
    private static let socketPathBytesMax = 107

    /// Makes the directory or checks the one that is there.
    ///
    /// - Parameters:
    ///   - root: where the server sees the file system from.
    ///   - hasData: whether the database is known to exist.
    /// - Returns: the folders that it created, the outermost first.
    package func prepare(root: String, hasData: Bool) throws(EmbeddedServerError) -> [String] {
        guard path.hasPrefix("/") else { throw unusable("give an absolute path") }
        // In the setting of the socket's directory, and in the address of the server.
        guard !path.contains(",") else {
            throw unusable("PostgreSQL separates paths by commas: name another directory")
        }
        // In this order, as the first success writes them the other way round.
        if hasData || access(port, F_OK) == 0 || access(marker, F_OK) == 0, access(data, F_OK) != 0, errno == ENOENT {
            throw .dataMissing(path: path)
        }
        let longest = "\(socket)/.s.PGSQL.65535".utf8.count
        guard longest <= Self.socketPathBytesMax else {
            throw unusable(
                "a unix socket's path in it has \(longest) bytes and the system allows "
                    + "\(Self.socketPathBytesMax): name a shorter directory")
        }
        var made: [String] = []
        do throws(EmbeddedServerError) {
            try makeAncestors(&made)
            let isNew = mkdir(path, 0o700) == 0
            if !isNew, errno != EEXIST {
                throw unusable(String(cString: strerror(errno)))
            }
            if isNew { made.append(path) } else { try checkContents() }
            try Files.makeFolder(path, mode: 0o700, owner: owner)
            try checkTraversal(root: root)
        } catch {
            remove(made)
            throw error
        }
        return made
    }

    /// Removes what a start that failed has made, unless there is a database in it by now.
    ///
    /// - Parameter made: what `prepare` returned.
    package func remove(_ made: [String]) {
        if made.last == path, access(data, F_OK) != 0 {
            for file in [lock, password, port, log.path, log.older] { unlink(file) }
            rmdir(socket)
        }
        for folder in made.reversed() where rmdir(folder) != 0 { return }
    }

    /// Notes beside the directory that it holds a database.
    package func mark(_ logger: Logger) {
        guard access(marker, F_OK) != 0 else { return }
        do {
            try Files.write(
                "\(path) holds a database. While this file exists, a missing one is not replaced by an empty one.\n",
                to: marker, mode: 0o644, owner: owner)
        } catch {
            logger.notice("if \(path) is lost, the next start creates an empty database: \(error)")
        }
    }

    /// Makes what the server needs in the directory. Only for the holder of the lock.
    package func makeContents() throws(EmbeddedServerError) {
        try Files.makeFolder(socket, mode: 0o700, owner: owner)
        try makePassword()
    }

    /// A directory given by mistake must not have its owner and mode changed.
    private func checkContents() throws(EmbeddedServerError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw unusable(String(cString: strerror(errno))) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw unusable("it is not a directory") }
        let names: Set<String>
        do throws(SystemCallError) { names = Set(try folderNames(path)) } catch { throw unusable("\(error)") }
        // Each of these may have been removed; a directory given by mistake has none.
        let isOurs = names.contains("lock") || names.isSuperset(of: ["socket", "password"])
        guard names.isEmpty || isOurs else {
            throw unusable("it is not empty and not one of Spillway's: name a new or an empty directory")
        }
        if names.contains("data") {
            guard stat(data, &status) == 0 else { throw unusable(String(cString: strerror(errno))) }
            guard status.st_uid == owner.user else {
                throw unusable(
                    "its data belongs to user id \(status.st_uid) and the server runs as \(owner.user): start the "
                        + "collector as before, or name another directory")
            }
        }
    }

    private func makeAncestors(_ made: inout [String]) throws(EmbeddedServerError) {
        var current = ""
        for part in path.split(separator: "/").dropLast() {
            current += "/" + part
            if mkdir(current, 0o755) == 0 {
                made.append(current)
            } else if errno != EEXIST {
                throw unusable("mkdir \(current): \(String(cString: strerror(errno)))")
            }
        }
    }

    /// The server must be able to walk to its directory.
    private func checkTraversal(root: String) throws(EmbeddedServerError) {
        guard geteuid() == 0 else { return }
        var current = ""
        for part in path.split(separator: "/").dropLast() {
            current += "/" + part
            var status = stat()
            // Folders that are missing in the root are made there, open to all.
            guard stat(root + current, &status) == 0 else { return }
            let bit: UInt32 = status.st_uid == owner.user ? 0o100 : status.st_gid == owner.group ? 0o010 : 0o001
            guard status.st_mode & bit != 0 else {
                throw unusable(
                    "user id \(owner.user), which the server runs as, may not enter \(root)\(current): name a "
                        + "directory elsewhere, or chmod o+x \(root)\(current)")
            }
        }
    }

    private func makePassword() throws(EmbeddedServerError) {
        if access(password, F_OK) == 0 { return }
        var generator = SystemRandomNumberGenerator()
        let letters = Array("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789")
        // 24 of 56 letters are 139 bits.
        let text = String((0..<24).map { _ in letters[Int.random(in: 0..<letters.count, using: &generator)] })
        try Files.write(text + "\n", to: password, mode: 0o600, owner: owner)
    }

    /// Takes the directory for this process.
    ///
    /// - Returns: the descriptors that hold the locks until they are closed, at the latest by the process's end.
    package func takeLock() throws(EmbeddedServerError) -> [Int32] {
        let folder = try Files.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, mode: 0)
        try takeLock(folder, mayFail: true)
        let file: Int32
        do {
            file = try Files.open(lock, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
            try takeLock(file, mayFail: false)
        } catch {
            close(folder)
            throw error
        }
        let text = Array("\(getpid())\n".utf8)
        // Only what an error shows: a lock without the number locks as well.
        if ftruncate(file, 0) == 0 { _ = pwrite(file, text, text.count, 0) }
        return [folder, file]
    }

    /// Closes the descriptor if it throws.
    ///
    /// - Parameter mayFail: network file systems lock no directories, and there the file's lock has to do.
    private func takeLock(_ descriptor: Int32, mayFail: Bool) throws(EmbeddedServerError) {
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
        let code = errno
        if mayFail, code != EWOULDBLOCK { return }
        close(descriptor)
        guard code == EWOULDBLOCK else { throw unusable("flock: \(String(cString: strerror(code)))") }
        let holder = access(lock, F_OK) == 0 ? Files.lastLines(of: lock, bytes: 20).filter(\.isNumber) : ""
        throw .directoryInUse(
            path: path, holder: holder.isEmpty ? "another collector" : "the collector with process id \(holder)")
    }

    private func unusable(_ reason: String) -> EmbeddedServerError {
        .directoryNotUsable(path: path, reason: reason)
    }
}
