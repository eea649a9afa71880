// Keeps the ledger small without forgetting a batch. A spilled batch may come again after any time, so what is old is not deleted:
// the batches of an epoch that follow each other become one row of `spillway.batch_ranges`.

import Postgres
import StoreSchema

/// Tends the ledger. Used by one thread, outside of transactions.
public struct LedgerPruning {
    /// Batches younger than this stay rows of their own: an operator may look for them.
    private static let batchHours = 24
    /// About 70 ms: the writers of batches wait for the move, and for its lock.
    private static let rowsAtOnce = 20_000

    private let connection: DatabaseConnection

    public init(_ connection: DatabaseConnection) { self.connection = connection }

    /// Moves old batches into ranges. O(rows that are moved) and O(ranges of their epochs).
    ///
    /// - Returns: how many rows are gone. 0: nothing is left to do.
    public func moveBatches() throws(DatabaseError) -> Int {
        let old = "committed_at < now() - interval '\(Self.batchHours) hours'"
        guard try exists("SELECT FROM spillway.batches WHERE \(old)") else { return 0 }
        return try connection.inTransaction { () throws(DatabaseError) -> Int in
            // Without it a batch that comes again at this very moment would find neither its row nor its range.
            try connection.execute(
                """
                SET LOCAL lock_timeout = '\(SchemaManager.aheadLockTimeout)';
                LOCK TABLE spillway.batches IN SHARE ROW EXCLUSIVE MODE
                """, operation: "locking spillway.batches")
            let rows = try connection.query(
                """
                WITH gone AS (
                    DELETE FROM spillway.batches WHERE (epoch, sequence) IN (
                        SELECT epoch, sequence FROM spillway.batches WHERE \(old)
                        ORDER BY epoch, sequence LIMIT \(Self.rowsAtOnce))
                    RETURNING epoch, sequence
                ), known AS (
                    DELETE FROM spillway.batch_ranges r USING (SELECT DISTINCT epoch FROM gone) e
                    WHERE r.epoch = e.epoch RETURNING r.epoch, r.first, r.behind
                ), merged AS (
                    SELECT epoch, unnest(range_agg(span)) AS span FROM (
                        SELECT epoch, int8range(sequence, sequence + 1) AS span FROM gone
                        UNION ALL SELECT epoch, int8range(first, behind) FROM known
                    ) spans GROUP BY epoch
                ), kept AS (
                    INSERT INTO spillway.batch_ranges (epoch, first, behind)
                    SELECT epoch, lower(span), upper(span) FROM merged
                )
                SELECT count(*) FROM gone
                """, operation: "moving old batches into ranges")
            return rows.first?[0].flatMap { Int($0) } ?? 0
        }
    }

    private func exists(_ query: String) throws(DatabaseError) -> Bool {
        try connection.query("SELECT EXISTS (\(query))", operation: "looking into the ledger").first?.first == "t"
    }
}
