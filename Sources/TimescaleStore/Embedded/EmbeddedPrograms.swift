// Where the server's programs come from, and the command lines that run them as an unprivileged user.

import Glibc
import LinuxSystem

/// A user and group id.
struct UserID: Equatable, Sendable {
    let user: UInt32
    let group: UInt32
}

extension EmbeddedServer {
    /// A source of PostgreSQL programs.
    public enum Programs: Equatable, Sendable {
        /// A folder that holds a small Debian with PostgreSQL and TimescaleDB; needs root.
        case timescaleRoot(String)
        /// A folder with `postgres` and `initdb`, for example `/usr/lib/postgresql/15/bin`.
        case host(binDirectory: String)

        /// Where `.timescaleRoot` is looked for, unless `SPILLWAY_TIMESCALEDB_ROOT` says otherwise.
        public static let defaultTimescaleRoot = "/var/lib/spillway/timescaledb-root"
        /// An older server would be refused once it runs.
        private static let oldestMajorVersion = 15
        private static let packagePath = "/usr/lib/postgresql"

        /// The TimescaleDB root where it is there and may be used, else the host's newest PostgreSQL.
        public static func find(environment: [String: String]) throws(EmbeddedServerError) -> Programs {
            let root = timescaleRootPath(environment: environment)
            if geteuid() == 0, newestBinDirectory(in: root + packagePath) != nil { return .timescaleRoot(root) }
            if let found = newestBinDirectory(in: packagePath) { return .host(binDirectory: found) }
            throw .programsMissing(searched: [root, packagePath + "/*/bin"])
        }

        /// The place of the TimescaleDB root, whether it is there or not.
        public static func timescaleRootPath(environment: [String: String]) -> String {
            let given = environment["SPILLWAY_TIMESCALEDB_ROOT"] ?? ""
            return given.isEmpty ? defaultTimescaleRoot : given
        }

        /// The host's newest PostgreSQL, or nil.
        public static func newestHostPrograms() -> Programs? {
            newestBinDirectory(in: packagePath).map { .host(binDirectory: $0) }
        }

        private static func newestBinDirectory(in folder: String) -> String? {
            let versions = Files.names(in: folder).compactMap { Int($0) }.filter { $0 >= oldestMajorVersion }
                .sorted(by: >)
            return versions.map { "\(folder)/\($0)/bin" }.first { access("\($0)/postgres", F_OK) == 0 }
        }

        /// The folder of the programs as the server sees it.
        func binDirectory() throws(EmbeddedServerError) -> String {
            switch self {
            case .host(let directory):
                guard access("\(directory)/postgres", F_OK) == 0 else { throw .programsMissing(searched: [directory]) }
                return directory
            case .timescaleRoot(let root):
                guard let found = Self.newestBinDirectory(in: root + Self.packagePath) else {
                    throw .programsMissing(searched: [root])
                }
                return String(found.dropFirst(root.count))
            }
        }

        /// The server's major version where the folder's name tells it, as Debian's does.
        func majorVersion() throws(EmbeddedServerError) -> String? {
            let parts = try binDirectory().split(separator: "/")
            return parts.dropLast().last.flatMap { Int($0) == nil ? nil : String($0) }
        }

        /// Whether TimescaleDB's extension is installed beside the server.
        func hasTimescale() throws(EmbeddedServerError) -> Bool {
            let bin = try binDirectory()
            guard case .host = self else { return true }
            let shares = ["\(bin)/../share", "\(bin)/../share/postgresql"]
            let debian = try majorVersion().map { ["/usr/share/postgresql/\($0)"] } ?? []
            return (debian + shares).contains { access("\($0)/extension/timescaledb.control", F_OK) == 0 }
        }

        /// Who the server runs as: never root.
        func serverUser() throws(EmbeddedServerError) -> UserID {
            switch self {
            case .host:
                if geteuid() != 0 { return UserID(user: geteuid(), group: getegid()) }
                guard let entry = getpwnam("postgres") else { throw .userMissing(file: "/etc/passwd") }
                return UserID(user: entry.pointee.pw_uid, group: entry.pointee.pw_gid)
            case .timescaleRoot(let root):
                guard geteuid() == 0 else { throw .system("\(root) can only be used by root") }
                let file = root + "/etc/passwd"
                for line in try Files.text(of: file).split(separator: "\n") {
                    let fields = line.split(separator: ":", omittingEmptySubsequences: false)
                    guard fields.count > 3, fields[0] == "postgres", let user = UInt32(fields[2]),
                        let group = UInt32(fields[3])
                    else { continue }
                    return UserID(user: user, group: group)
                }
                throw .userMissing(file: file)
            }
        }

        /// The command that runs one of PostgreSQL's programs as `user`. Every step replaces the one before by exec,
        /// so that the program is the direct child of its starter, and INT (a fast shutdown) reaches it when the
        /// starter's thread dies.
        func command(
            _ program: String, _ arguments: [String], user: UserID, directory: String
        ) throws(EmbeddedServerError) -> [String] {
            let path = try binDirectory() + "/" + program
            switch self {
            case .host:
                let identity =
                    geteuid() == 0 ? ["--reuid=\(user.user)", "--regid=\(user.group)", "--clear-groups"] : []
                return ["setpriv"] + identity + ["--pdeathsig", "INT", "--", path] + arguments
            case .timescaleRoot(let root):
                let steps = ["chroot", "--userspec=\(user.user):\(user.group)", "--groups=", root]
                return ["unshare", "--mount", "--propagation", "private", "sh", "-euc", Self.mountScript, "sh"]
                    + [root, directory] + steps + ["/usr/bin/setpriv", "--pdeathsig", "INT", "--", path] + arguments
            }
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
}
