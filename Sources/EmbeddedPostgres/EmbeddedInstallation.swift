// One version of PostgreSQL's programs, and the command lines that run them as an unprivileged user.

import Glibc
import LinuxSystem

/// A user and group id.
package struct UserID: Equatable, Sendable {
    package let user: UInt32
    package let group: UInt32
}

package struct EmbeddedInstallation: Equatable, Sendable {
    /// The TimescaleDB root; nil for the host's programs.
    package let root: String?
    /// The folder of the programs as the server sees it.
    package let bin: String

    /// Where the folder's name says it, as Debian's does.
    package var majorVersion: String? {
        bin.split(separator: "/").dropLast().last.flatMap { Int($0) == nil ? nil : String($0) }
    }

    /// Whether TimescaleDB's extension is installed with the server.
    package var hasTimescale: Bool {
        if root != nil { return true }
        let shares = ["\(bin)/../share", "\(bin)/../share/postgresql"]
        let debian = majorVersion.map { ["/usr/share/postgresql/\($0)"] } ?? []
        return (debian + shares).contains { access("\($0)/extension/timescaledb.control", F_OK) == 0 }
    }

    /// The user that the server runs as: never root.
    package func user() throws(EmbeddedServerError) -> UserID {
        guard let root else {
            if geteuid() != 0 { return UserID(user: geteuid(), group: getegid()) }
            guard let entry = getpwnam("postgres") else { throw .userMissing(file: "/etc/passwd") }
            return UserID(user: entry.pointee.pw_uid, group: entry.pointee.pw_gid)
        }
        guard geteuid() == 0 else { throw .system("\(root) can only be used by root") }
        let file = root + "/etc/passwd"
        for line in textLines(try Files.text(of: file)) {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count > 3, fields[0] == "postgres", let user = UInt32(fields[2]),
                let group = UInt32(fields[3])
            else { continue }
            return UserID(user: user, group: group)
        }
        throw .userMissing(file: file)
    }

    /// The command that runs one of PostgreSQL's programs as `user`. Every step replaces the one before by exec,
    /// so that the program is the direct child of its starter, and INT (a fast shutdown) reaches it when the
    /// starter's thread dies.
    package func command(
        _ program: String, _ arguments: [String], user: UserID, directory: String
    ) throws(EmbeddedServerError) -> [String] {
        let path = bin + "/" + program
        guard access((root ?? "") + path, F_OK) == 0 else { throw .programsMissing(searched: [(root ?? "") + bin]) }
        guard let root else {
            let identity =
                geteuid() == 0 ? ["--reuid=\(user.user)", "--regid=\(user.group)", "--clear-groups"] : []
            return ["setpriv"] + identity + ["--pdeathsig", "INT", "--", path] + arguments
        }
        let steps = ["chroot", "--userspec=\(user.user):\(user.group)", "--groups=", root]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-euc", Self.mountScript, "sh"]
            + [root, directory] + steps + ["/usr/bin/setpriv", "--pdeathsig", "INT", "--", path] + arguments
    }

    /// Shows the directory under the same path inside the root. The mounts belong to a namespace that ends with
    /// the server, so there is nothing to undo; two servers share only the empty folder below the mount.
    private static let mountScript = """
        root=$1 directory=$2
        shift 2
        mkdir -p "$root$directory"
        mount --bind "$directory" "$root$directory"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        exec "$@"
        """
}
