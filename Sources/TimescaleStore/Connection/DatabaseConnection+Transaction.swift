// Transactions. The end of a COMMIT has three outcomes, and the third must not be taken for either of the others.

import CPostgreSQL

extension DatabaseConnection {
    /// Opens a transaction whose statements see what others have committed before each of them.
    public func begin() throws(DatabaseError) {
        try execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    }

    /// Commits the open transaction.
    ///
    /// - Throws: an error with `isCommitOutcomeUnknown` when COMMIT was sent and nobody can say whether it took effect:
    ///   ask the ledger on a new connection. Any other error means that the transaction is not in the database.
    public func commit() throws(DatabaseError) {
        operation = "COMMIT"
        _ = try usableHandle()
        let tag: String
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
