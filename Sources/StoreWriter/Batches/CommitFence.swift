// Keeps a collector's earlier run from committing behind the back of its successor.
//
// A collector that was killed may leave transactions whose COMMIT the server has, or is about to have. Every batch's
// transaction holds an advisory lock in shared mode; a new run takes it exclusively once, and so waits for all of them to end,
// before it believes what the ledger says. A transaction that begins later cannot be an earlier run's: its COPY waits for the
// answer to its BEGIN, and nobody is there to send it.

import Postgres

/// The lock of one collector, which is to say of one spill directory.
public struct CommitFence: Sendable, Equatable {
    /// What the lock is called.
    public let key: Int64

    public init(key: Int64) { self.key = key }

    /// Part of every batch's transaction.
    package var shareStatement: String { "SELECT pg_advisory_xact_lock_shared(\(key))" }

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
