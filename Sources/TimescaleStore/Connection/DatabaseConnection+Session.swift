// What a new session is told, and the question whether its server still takes writes.

extension DatabaseConnection {
    /// Makes the session's settings, in one round trip for all that every server knows.
    func prepareSession() throws(DatabaseError) {
        let limits = options.serverLimits
        let settings = limits + options.sessionSettings
        let rows = settings.indices.map { "($\(2 * $0 + 1), $\(2 * $0 + 2), \($0 < limits.count))" }
        // A limit whose source is the client came from the location: the operator knows better.
        try query(
            """
            SELECT pg_catalog.set_config(v.name, v.value, false)
            FROM (VALUES \(rows.joined(separator: ", "))) v(name, value, is_limit)
            LEFT JOIN pg_catalog.pg_settings s ON s.name = v.name
            WHERE NOT v.is_limit OR s.source <> 'client'
            """, settings.flatMap { [$0.name, $0.value] }, operation: "making the session's settings")
        try watchForLostClients()
    }

    /// A backend notices a client that went away only when it writes to it. With this setting (PostgreSQL 14, Linux) it
    /// looks while it works or waits for a lock, so that a closed connection does not keep its ledger row for long.
    private func watchForLostClients() throws(DatabaseError) {
        do {
            try query("SELECT pg_catalog.set_config('client_connection_check_interval', '2s', false)")
        } catch {
            // Not known to this server or not possible on its platform; a lost session is refused at the next call.
            guard case .server = error.kind, isUsable else { throw error }
        }
    }

    /// Asks the server whether it is there and takes writes.
    ///
    /// A primary can turn read-only under an open session: services do that to one whose disk is full.
    ///
    /// - Throws: when it does not; the connection is closed then, so that the next one finds the server that does.
    public func checkThatItTakesWrites() throws(DatabaseError) {
        let name = "asking whether it takes writes"
        guard try query("SHOW transaction_read_only", operation: name).first?.first == "on" else { return }
        close()
        throw error(
            .server(
                ServerReport(
                    severity: "ERROR", sqlstate: .readOnlySQLTransaction, message: "the server takes no writes now")))
    }
}
