// Transactions. The end of a COMMIT has three outcomes, and the third must not be taken for either of the others.

import CPostgreSQL

extension DatabaseConnection {
    /// What a transaction may be.
    package enum TransactionMode: String {
        /// Its statements see what others have committed before each of them.
        case readCommitted = "ISOLATION LEVEL READ COMMITTED"
        case readOnly = "READ ONLY"
    }

    /// Opens a transaction whose statements see what others have committed before each of them.
    public func begin() throws(DatabaseError) { try begin(and: "", operation: nil) }

    /// Opens a transaction and runs more statements in the same round trip.
    ///
    /// - Returns: the number of rows that the last of them changed.
    @discardableResult
    package func begin(
        _ mode: TransactionMode = .readCommitted, and statements: String, operation: String?
    ) throws(DatabaseError) -> Int {
        let sql = beginning(mode) + statements
        return try send(operation ?? "BEGIN") { PQsendQuery($0, sql) }.affectedRows
    }

    /// The statements that open a transaction with its settings.
    package func beginning(_ mode: TransactionMode = .readCommitted) -> String {
        // The limits come first: with a limit of a millisecond there is no time for anything else.
        var sql = "BEGIN \(mode.rawValue); "
        for limit in transactionLimits { sql += "SET LOCAL \(limit.name) = \(SessionSettings.literal(limit.value)); " }
        var settings = transactionSettings
        if mode != .readOnly, !isSynchronousCommitChosen { settings.append(SessionSettings.synchronousCommit) }
        if !settings.isEmpty { sql += "SELECT \(settings.joined(separator: ", ")); " }
        return sql
    }

    /// Commits the open transaction.
    ///
    /// - Throws: an error with `isCommitOutcomeUnknown` when COMMIT was sent and nobody can say whether it took effect:
    ///   ask the ledger on a new connection. Any other error means that the transaction is not in the database.
    public func commit() throws(DatabaseError) {
        operation = "COMMIT"
        _ = try usableHandle()
        let tag: String
        notices.lastOwnWarning = nil
        do {
            tag = try send("COMMIT") { PQsendQuery($0, "COMMIT") }.tag
        } catch {
            var failure = error
            // An ERROR is the server's no. A FATAL may come after the commit record was written, for example when an
            // administrator ends the session while it waits for a standby.
            if case .server(let report) = error.kind, !report.endsSession {
                failure.isCommitOutcomeUnknown = false
            } else {
                failure.isCommitOutcomeUnknown = true
            }
            throw failure
        }
        // The server answers the COMMIT of a failed transaction with ROLLBACK and no error.
        guard tag == "COMMIT" else {
            throw error(.unexpectedReply(reason: "\(tag), since a statement of the transaction had failed"))
        }
        // It is committed here, and a standby that should have it may not: somebody has cancelled the wait.
        if let warning = notices.lastOwnWarning {
            var failure = error(.commitInDoubt(warning))
            failure.isCommitOutcomeUnknown = true
            throw failure
        }
    }

    /// Waits until everything that was committed before and is visible now is as durable as a commit of today: on disk, and on
    /// the synchronous standbys. A transaction that wrote anything to the log waits at its end for all that is before it there.
    ///
    /// What a transaction finds in the ledger is visible, and may be no more than that: it was committed with
    /// `synchronous_commit = off`, or its wait for a standby was cancelled.
    package func waitForEarlierCommits() throws(DatabaseError) {
        try begin(
            and: "SELECT pg_catalog.pg_logical_emit_message(true, 'spillway', '')",
            operation: "waiting for earlier commits")
        try commit()
    }

    /// Rolls back the open transaction, if there is one.
    public func rollback() throws(DatabaseError) {
        guard isInTransaction else { return }
        if isCopying { try abandonCopy() }
        try execute("ROLLBACK")
    }

    /// Runs `body` in a transaction that is committed when it returns and rolled back when it throws.
    public func inTransaction<Result>(
        _ body: () throws(DatabaseError) -> Result
    ) throws(DatabaseError) -> Result {
        try begin()
        return try finishTransaction(body)
    }

    /// Runs `body` in the open transaction, if there is one or none is needed; else in one of its own, because outside of a
    /// transaction a pooler would run it with settings of another client.
    package func withSettings<Result>(_ body: () throws(DatabaseError) -> Result) throws(DatabaseError) -> Result {
        guard isPooled, !isInTransaction else { return try body() }
        return try inTransaction(body)
    }

    private func finishTransaction<Result>(
        _ body: () throws(DatabaseError) -> Result
    ) throws(DatabaseError) -> Result {
        let result: Result
        do {
            result = try body()
        } catch {
            // What failed is what the caller wants to know; a rollback that fails closes the connection, and that
            // rolls back as well.
            do { try rollback() } catch { close() }
            throw error
        }
        try commit()
        return result
    }
}
