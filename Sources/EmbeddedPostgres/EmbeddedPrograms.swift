// Where the server's programs come from, and which of them fit the data. New data gets the newest version; data that exists keeps
// the version that created it, whatever is installed in addition.

import Glibc
import LinuxSystem

extension EmbeddedServer {
    /// A source of PostgreSQL programs.
    public enum Programs: Equatable, Sendable {
        /// A folder that holds a small Debian with PostgreSQL and TimescaleDB; needs root.
        case timescaleRoot(String)
        /// A folder with `postgres` and `initdb`, for example `/usr/lib/postgresql/15/bin`.
        case host(binDirectory: String)

        /// Where `.timescaleRoot` is, unless `SPILLWAY_TIMESCALEDB_ROOT` says otherwise.
        public static let defaultTimescaleRoot = "/var/lib/spillway/timescaledb-root"
        /// The variable that names another place.
        public static let rootVariable = "SPILLWAY_TIMESCALEDB_ROOT"
        /// An older server would be refused once it runs.
        private static let oldestMajorVersion = 15
        static let packagePath = "/usr/lib/postgresql"

        /// The place of the TimescaleDB root, whether it is there or not.
        public static func timescaleRootPath(environment: [String: String]) -> String {
            let given = environment[rootVariable] ?? ""
            return given.isEmpty ? defaultTimescaleRoot : given
        }

        /// The host's newest PostgreSQL, or nil.
        public static func newestHostPrograms() -> Programs? {
            binDirectories(in: packagePath).first.map { .host(binDirectory: $0) }
        }

        /// The `bin` folders of the versions in a folder like Debian's, newest first.
        private static func binDirectories(in folder: String) -> [String] {
            let versions = readableFolderNames(folder).compactMap { Int($0) }.filter { $0 >= oldestMajorVersion }
                .sorted(by: >)
            return versions.map { "\(folder)/\($0)/bin" }.filter { access("\($0)/postgres", F_OK) == 0 }
        }

        /// The versions that this source has, newest first.
        func installations() -> [EmbeddedInstallation] {
            switch self {
            case .host(let directory):
                guard access("\(directory)/postgres", F_OK) == 0 else { return [] }
                return [EmbeddedInstallation(root: nil, bin: directory)]
            case .timescaleRoot(let root):
                return Self.binDirectories(in: root + Self.packagePath).map {
                    EmbeddedInstallation(root: root, bin: String($0.dropFirst(root.count)))
                }
            }
        }

        /// What can run `data`, or a new database where that is nil. The TimescaleDB root comes first, if it can be used.
        ///
        /// - Parameters:
        ///   - given: nil for all sources of this machine.
        ///   - packages: the host's folder of versions.
        static func choose(
            _ given: Programs?, path: String, data: EmbeddedData?, environment: [String: String],
            packages: String = packagePath
        ) throws(EmbeddedServerError) -> EmbeddedInstallation {
            let root = timescaleRootPath(environment: environment)
            let inRoot: [Programs] = geteuid() == 0 ? [.timescaleRoot(root)] : []
            let sources =
                given.map { [$0] } ?? inRoot + binDirectories(in: packages).map { .host(binDirectory: $0) }
            let found = sources.flatMap { $0.installations() }
            guard let newest = found.first else {
                throw .programsMissing(searched: given.map { [$0.folder] } ?? [root, packages + "/*/bin"])
            }
            guard let data else { return newest }
            let fitting = found.filter { $0.majorVersion == nil || $0.majorVersion == data.majorVersion }
            guard let first = fitting.first else {
                let versions = found.compactMap(\.majorVersion).joined(separator: " and ")
                throw .versionMismatch(
                    path: path, data: data.majorVersion, server: versions + missingRoot(root, found))
            }
            for installation in fitting where try installation.user().user == data.owner { return installation }
            let user = try first.user().user
            throw .directoryNotUsable(
                path: path,
                reason: "its data belongs to user id \(data.owner) and PostgreSQL in \(first.bin) runs as "
                    + "\(user)\(missingRoot(root, found)): start the collector as before, or name another directory")
        }

        /// The likeliest cause that no installation fits, where it is one.
        private static func missingRoot(_ root: String, _ found: [EmbeddedInstallation]) -> String {
            found.contains { $0.root != nil } ? "" : " (no TimescaleDB folder \(root); .setup/timescaledb creates it)"
        }

        var folder: String {
            switch self {
            case .host(let directory): directory
            case .timescaleRoot(let root): root
            }
        }
    }
}
