// Why the embedded server does not run, in one line with what to do.

/// A failure of the embedded server that the operator has to see.
public enum EmbeddedServerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No PostgreSQL programs were found.
    case programsMissing(searched: [String])
    /// PostgreSQL refuses to run as root and its user is missing.
    case userMissing(file: String)
    case directoryNotUsable(path: String, reason: String)
    /// Another collector uses the directory.
    case directoryInUse(path: String, holder: String)
    case versionMismatch(path: String, data: String, server: String)
    /// A database of an earlier run is not where it was.
    case dataMissing(path: String)
    /// The database has TimescaleDB's extension of that version, and the server does not have its library.
    case libraryMissing(path: String, version: String, server: String, root: String)
    /// The server or one of its helpers ended. `log` holds the last lines it wrote.
    case programFailed(program: String, status: String, log: String)
    case notReady(seconds: Int, log: String)
    case system(String)

    public var description: String {
        switch self {
        case .programsMissing(let searched):
            "no PostgreSQL server found in \(searched.joined(separator: ", ")): install the package postgresql or restore "
                + "the TimescaleDB folder (.setup/timescaledb creates it), or give --database URL"
        case .userMissing(let file):
            "no user postgres in \(file): PostgreSQL does not run as root; install the package postgresql"
        case .directoryNotUsable(let path, let reason):
            "the database directory \(path) cannot be used: \(reason)"
        case .directoryInUse(let path, let holder):
            "the database directory \(path) is used by \(holder): stop that one or name another directory"
        case .versionMismatch(let path, let data, let server):
            "the database in \(path) is of PostgreSQL \(data) and the server here is \(server): install PostgreSQL "
                + "\(data), or move the data with pg_dump, or name another directory"
        case .dataMissing(let path):
            "the database of an earlier run is not in \(path)/data any more: mount it or restore it from a backup; to begin "
                + "with an empty database, remove \(path)/port and \(path).created and start again"
        case .libraryMissing(let path, let version, let server, let root):
            "the database in \(path) needs TimescaleDB \(version), which the server in \(server) does not have: restore the "
                + "TimescaleDB folder \(root) (.setup/timescaledb creates it), or install that version for this server, "
                + "or name another directory"
        case .programFailed(let program, let status, let log):
            "\(program) ended with \(status): \(log.oneLine)"
        case .notReady(let seconds, let log):
            "the embedded database did not accept connections within \(seconds) s: \(log.oneLine)"
        case .system(let reason):
            "the embedded database cannot be run: \(reason)"
        }
    }
}
