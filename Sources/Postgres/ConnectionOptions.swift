// How a connection behaves, with its limits: those that are kept here, and those that the server is asked to keep.
//
// Who gives up, and when:
// - A server that makes no progress: the silence timeout here, which a COPY of a slow server that moves never meets.
// - A client host that is gone without a word: the server's TCP, within a minute. A client that closed its connection: the
//   server's look at it every two seconds while it works. Until then the client's transaction holds its locks.
// - A client that stands still inside of a transaction: `idleInTransactionMilliseconds`.
// - A wait for a lock: a little before the silence timeout, so that it ends as an error on a session that stays usable.

/// What a `DatabaseConnection` is opened with.
public struct ConnectionOptions: Sendable {
    /// What `pg_stat_activity` shows, unless the location names something else.
    public var applicationName = "spillway"
    /// Whether the session is there to write. Then a server that takes no writes, a standby for example, is passed over
    /// when connecting, and a session whose server stops taking them is closed.
    public var isForWriting = false
    /// The limit for the whole of connecting, shared by the servers that the location names, at least two seconds each; the
    /// location's own `connect_timeout` goes before and holds for each of them. Resolving a host's name is not under it:
    /// the system blocks for that.
    public var connectTimeoutMilliseconds = 10_000
    /// The longest time a call waits without the server taking or giving a byte; then the connection is closed. For a
    /// statement that is the limit of its duration; for a COPY that of a standstill.
    public var silenceTimeoutMilliseconds = 30_000
    /// How long a statement waits for a lock, 0 for as long as it takes; nil is a little less than the silence timeout.
    public var lockTimeoutMilliseconds: Int?
    /// How long a statement may take on the server; 0, the default, is as long as it takes: it would end a COPY that is slow
    /// but moves. A COMMIT, which may wait for a standby, is not under it.
    public var statementTimeoutMilliseconds = 0
    /// How long the session may stand still inside of a transaction before the server ends it.
    public var idleInTransactionMilliseconds = 60_000
    /// Settings of the session in addition to those of every session, whatever the location says.
    public var sessionSettings: [(name: String, value: String)] = []

    public init(applicationName: String = "spillway", isForWriting: Bool = false) {
        self.applicationName = applicationName
        self.isForWriting = isForWriting
    }

    /// The time after which the server gives a silent peer up, and this side too: an idle half minute, three probes.
    package static let keepalive = [
        ("keepalives_idle", "30"), ("keepalives_interval", "10"), ("keepalives_count", "3"),
    ]
    package static let userTimeoutMilliseconds = 60_000

    /// Limits that the server keeps, where the location does not set them itself (`options=-c lock_timeout=5s`). Zero is
    /// set as well: a default of the role or the database, made for people's queries, must not end a collector's COPY.
    package var serverLimits: [(name: String, value: String)] {
        let lock = lockTimeoutMilliseconds ?? silenceTimeoutMilliseconds / 6 * 5
        return [
            ("statement_timeout", "\(statementTimeoutMilliseconds)"),
            ("lock_timeout", "\(lock)"),
            ("idle_in_transaction_session_timeout", "\(idleInTransactionMilliseconds)"),
            ("idle_session_timeout", "0"), ("transaction_timeout", "0"),
            // The server's own defaults wait two hours before they ask whether the client is there.
            ("tcp_user_timeout", "\(Self.userTimeoutMilliseconds)"),
        ] + Self.keepalive.map { ("tcp_" + $0.0, $0.1) }
    }
}
