// How a connection behaves, with its limits.

/// What a `DatabaseConnection` is opened with.
public struct ConnectionOptions: Sendable {
    /// What `pg_stat_activity` shows, unless the location names something else.
    public var applicationName = "spillway"
    /// The limit for the whole of connecting. Resolving a host's name is not under it: libpq blocks for that.
    public var connectTimeoutMilliseconds = 10_000
    /// The longest time a call waits without the server taking or giving a byte; then the connection is closed. For a
    /// statement that is the limit of its duration; for a COPY that of a standstill.
    public var silenceTimeoutMilliseconds = 30_000
    /// Settings of the session, made after connecting.
    public var sessionSettings: [(name: String, value: String)] = [("TimeZone", "UTC")]

    public init(applicationName: String = "spillway") {
        self.applicationName = applicationName
    }
}
