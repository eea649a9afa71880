// The time by which old things go: the earlier of two clocks, so that one that has jumped ahead drops nothing that is young.

/// Compares this machine's clock with the database's.
package enum DatabaseClock {
    private static let clocksApartMaxMicroseconds: Int64 = 300_000_000

    /// The earlier of this machine's time and the server's, in microseconds since the Unix epoch, and a warning where they are
    /// far apart.
    package static func earlier(
        of local: Int64, _ connection: DatabaseConnection
    ) throws(DatabaseError) -> (microseconds: Int64, warning: String?) {
        let rows = try connection.query(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", operation: "asking for the time")
        guard let server = rows.first?.first.flatMap({ $0 }).flatMap({ Int64($0) }) else {
            throw connection.error(.unexpectedReply(reason: "it does not know the time"))
        }
        let apart = local > server ? local - server : server - local
        let warning =
            apart > clocksApartMaxMicroseconds
            ? "the clocks of this machine and of the database are \(apart / 1_000_000) s apart" : nil
        return (min(local, server), warning)
    }

    /// A parameter in microseconds since the Unix epoch, as a timestamptz in SQL.
    package static func time(_ parameter: String) -> String {
        "('epoch'::timestamptz + \(parameter)::bigint * interval '1 microsecond')"
    }
}
