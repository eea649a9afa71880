// What a new session is set to, and whether its server still takes writes.
//
// A pooler in front of the server (pgbouncer, for example) may give each transaction another session of the server. Settings of
// a session would then reach other clients, and not this one's next transaction. So, behind a pooler, every transaction makes the
// settings for itself, and no statement runs outside of a transaction. A pooler is recognised by the process id that it reported
// at the start of the session: it is not that of the server's process.

import CPostgreSQL

extension DatabaseConnection {
    /// The first version with all that is needed without TimescaleDB.
    package static let oldestServerVersion = 150_000

    /// Connects and makes the session's settings.
    ///
    /// A limit of a few milliseconds may end the first statement of a session, in which the server loads its libraries, before it
    /// has lifted the limit. Then the limits are part of the request for the session, which poolers refuse: so only then.
    package func open() throws(DatabaseError) {
        try connect()
        let failure: DatabaseError
        do throws(DatabaseError) {
            return try prepareSession()
        } catch {
            failure = error
        }
        guard let sqlstate = failure.sqlstate, SessionSettings.limitsEnd.contains(sqlstate) else { throw failure }
        close()
        let given = givenOptions
        requestedSettings = SessionSettings.requested(options.serverLimits.filter { !given.contains($0.name) })
        do throws(DatabaseError) {
            try connect()
        } catch {
            throw error.kind == .cancelled ? error : failure
        }
        try prepareSession()
    }

    /// The location's own settings of the session, with underscores for dashes.
    private var givenOptions: String {
        (location.resolved()["options"] ?? "").lowercased().replacing("-", with: "_")
    }

    /// Makes the session's settings, or those of each of its transactions where a pooler is between.
    package func prepareSession() throws(DatabaseError) {
        let name = "making the session's settings"
        let given = givenOptions
        // The limits that could end this very transaction, in the same message that begins it.
        transactionLimits = options.serverLimits.filter {
            ["statement_timeout", "idle_in_transaction_session_timeout"].contains($0.name) && !given.contains($0.name)
        }
        // What the location says of it is not known yet, and nothing is written here.
        isSynchronousCommitChosen = true
        let known = try beginAndReadSettings(operation: name)
        isPooled = known.processID != handle.map { PQbackendPID($0) }
        // A limit whose source is the client came from the location: the operator knows better.
        var limits = options.serverLimits.filter { limit in
            known.values[limit.name].map { $0.source != "client" } ?? false && !given.contains(limit.name)
        }
        var meanings = (SessionSettings.meanings + options.sessionSettings).filter { known.values[$0.name] != nil }
        meanings.append(SessionSettings.searchPath(known.values["search_path"]?.resetValue ?? "public"))
        let commit = known.values["synchronous_commit"]
        isSynchronousCommitChosen =
            commit?.source == "client" && ["local", "remote_write"].contains(commit?.resetValue)
        let triggers = SessionSettings.triggersFire
        if options.isForWriting {
            if known.values[triggers.name]?.value != triggers.value {
                // The ledger depends on one. A user who may not change this stores nothing.
                try keep([triggers], operation: "setting session_replication_role to origin, which the ledger needs")
            } else if known.maySetTriggers {
                meanings.append(triggers)
            }
        }
        if isPooled {
            // What is about the connection is about the pooler's, and a default of transactions has no effect inside of one.
            limits.removeAll { $0.name.hasPrefix("tcp_") || $0.name == "idle_session_timeout" }
            meanings.removeAll { $0.name.hasPrefix("default_transaction") }
        }
        // Nothing was written: a standby takes this as well.
        try keep(meanings + (isPooled ? [] : limits), operation: name, before: "COMMIT")
        transactionLimits = isPooled ? limits : []
        if !isPooled { try watchForLostClients() }
    }

    private struct KnownSettings {
        struct Value {
            let value: String
            /// What the server, the database, the role and the location say together.
            let resetValue: String
            let source: String
        }

        var processID: Int32 = 0
        /// Whether this user may let triggers fire.
        var maySetTriggers = false
        var values: [String: Value] = [:]
    }

    /// Opens a transaction and reads what its settings are, in one round trip: each is one that a session can be ended in.
    private func beginAndReadSettings(operation: String) throws(DatabaseError) -> KnownSettings {
        let names =
            options.serverLimits.map(\.name) + SessionSettings.meanings.map(\.name)
            + options.sessionSettings.map(\.name)
            + ["search_path", "synchronous_commit", SessionSettings.triggersFire.name]
        // Before version 15, which is refused later, there is no such question.
        let maySetTriggers =
            serverVersionNumber >= DatabaseConnection.oldestServerVersion
            ? "pg_catalog.has_parameter_privilege('\(SessionSettings.triggersFire.name)', 'SET')" : "false"
        let sql = """
            \(beginning())SELECT s.name, s.setting, s.reset_val, s.source, pg_catalog.pg_backend_pid(), \(maySetTriggers)
            FROM pg_catalog.pg_settings s
            WHERE s.name OPERATOR(pg_catalog.=) ANY (ARRAY[\(names.map { "'\($0)'" }.joined(separator: ", "))])
            """
        let rows = try send(operation) { PQsendQuery($0, sql) }.rows
        var known = KnownSettings()
        for row in rows {
            guard let name = row[0], let value = row[1] else { continue }
            known.values[name] = KnownSettings.Value(
                value: value, resetValue: row[2] ?? value, source: row[3] ?? "")
            known.processID = row[4].flatMap { Int32($0) } ?? 0
            known.maySetTriggers = row[5] == "t"
        }
        return known
    }

    /// Makes settings for as long as the connection lives: of the session, or of each of its transactions where a pooler is
    /// between, from the present one on.
    ///
    /// - Parameter last: a statement to run after it, in the same round trip.
    package func keep(
        _ settings: [SessionSettings.Setting], operation: String, before last: String = ""
    ) throws(DatabaseError) {
        precondition(!settings.isEmpty)
        if isPooled { transactionSettings += settings.map { SessionSettings.local($0) } }
        let calls = settings.map {
            "pg_catalog.set_config(\(SessionSettings.literal($0.name)), \(SessionSettings.literal($0.value)), \(isPooled))"
        }
        try execute("SELECT \(calls.joined(separator: ", ")); \(last)", operation: operation)
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
