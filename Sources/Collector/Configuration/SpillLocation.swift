// Where the spill is when no setting names it: in the state directory, whatever the database's address is, so that another
// address finds what was kept under the one before.

import EmbeddedPostgres
import FrameCodec
import Glibc
import LinuxSystem
import Postgres
import SpillwayClient
import Text

/// Where spills are by default.
enum SpillLocation {
    /// What this machine's collectors keep: the embedded database's default folder, and the spill beside it.
    static func stateDirectory(environment: [String: String]) -> String {
        let database = EmbeddedServer.defaultDirectory(environment: environment)
        return database.lastIndex(of: "/").map { String(database[..<$0]) } ?? database
    }

    /// The spill's directory for a database; nil for none.
    static func standard(_ database: DatabaseTarget, environment: [String: String]) -> String? {
        let state = stateDirectory(environment: environment)
        switch database {
        case .discard: return nil
        // A database elsewhere has its spill beside it.
        case .embedded(let directory?) where directory != EmbeddedServer.defaultDirectory(environment: environment):
            return directory + "-spill"
        case .embedded, .server: return state + "/spill"
        }
    }

    /// Where earlier collectors had the spill of this database by default.
    static func former(_ location: DatabaseLocation, stateDirectory: String) -> String {
        stateDirectory + "/spill-" + hexadecimal(SourceIdentity.hash(location.description))
    }

    /// Takes over the spill that an earlier collector kept for this database at its former default place, if there is none at
    /// the present one.
    ///
    /// - Returns: where it was; nil if there is nothing to take over.
    /// - Throws: `SystemCallError` when it could not be moved. It stays where it is then.
    static func takeOver(_ settings: CollectorSettings) throws(SystemCallError) -> String? {
        guard settings.spillDirectory == nil, case .server(let location) = settings.database,
            let path = settings.spillPath
        else { return nil }
        let former = former(location, stateDirectory: settings.stateDirectory)
        guard access(former, F_OK) == 0, access(path, F_OK) != 0, errno == ENOENT else { return nil }
        let lock = open(former + "/lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard lock >= 0 else { return nil }
        defer { close(lock) }
        // A collector that is still running there owns it.
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { return nil }
        try checkedCall("rename", object: former) { Int(rename(former, path)) }
        let folder = Int32(
            try checkedCall("open", object: settings.stateDirectory) {
                Int(open(settings.stateDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
            })
        defer { close(folder) }
        try checkedCall("fsync", object: settings.stateDirectory) { Int(fsync(folder)) }
        return former
    }
}

extension DatabaseTarget {
    /// What a spill records of the database that it belongs to: the same however a user or a password changes.
    func spillOwner(environment: [String: String]) -> String {
        switch self {
        case .discard: "discard"
        case .embedded(let directory):
            "embedded:" + (directory ?? EmbeddedServer.defaultDirectory(environment: environment))
        case .server(let location): location.targetDescription
        }
    }
}
