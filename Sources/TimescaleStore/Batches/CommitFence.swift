// Keeps a collector's earlier run from committing behind the back of its successor.
//
// A collector that was killed may leave transactions whose COMMIT the server has, or is about to have. Every batch's
// transaction holds an advisory lock in shared mode; a new run takes it exclusively once, and so waits for all of them to end,
// before it believes what the ledger says. A transaction that begins later cannot be an earlier run's: its COPY waits for the
// answer to its BEGIN, and nobody is there to send it.

/// The lock of one collector, which is to say of one spill directory.
public struct CommitFence: Sendable, Equatable {
    /// What the lock is called.
    public let key: Int64

    public init(key: Int64) { self.key = key }

    /// Part of every batch's transaction.
    var shareStatement: String { "SELECT pg_advisory_xact_lock_shared(\(key))" }

    /// Waits until no transaction of an earlier run is open.
    ///
    /// - Throws: when that took longer than `timeoutMilliseconds`; try again.
    public func waitForEarlierRuns(
        _ connection: DatabaseConnection, timeoutMilliseconds: Int = 10_000
    ) throws(DatabaseError) {
        try connection.inTransaction { () throws(DatabaseError) -> Void in
            try connection.execute(
                "SET LOCAL lock_timeout = \(timeoutMilliseconds); SELECT pg_advisory_xact_lock(\(key))",
                operation: "waiting for transactions of this collector's earlier run")
        }
    }
}

/// Held by every transaction that stores frames of sessions, in shared mode; whoever must know that no other one is under way takes
/// it alone.
enum SessionLock {
    /// `spillses` in ASCII.
    private static let key: Int64 = 0x7370_696C_6C73_6573

    static let share = "SELECT pg_advisory_xact_lock_shared(\(key))"
    static let take = "SELECT pg_advisory_xact_lock(\(key))"

    /// Runs `body` with the lock, over several transactions.
    static func holding<Result>(
        _ connection: DatabaseConnection, _ body: () throws(DatabaseError) -> Result
    ) throws(DatabaseError) -> Result {
        try connection.execute("SELECT pg_advisory_lock(\(key))", operation: "waiting for others that store sessions")
        let result: Result
        do throws(DatabaseError) {
            result = try body()
        } catch {
            // A connection that is gone has let go of it.
            if connection.isUsable { do { try release(connection) } catch { connection.close() } }
            throw error
        }
        try release(connection)
        return result
    }

    private static func release(_ connection: DatabaseConnection) throws(DatabaseError) {
        try connection.rollback()
        try connection.execute("SELECT pg_advisory_unlock(\(key))", operation: "letting others store sessions")
    }
}
