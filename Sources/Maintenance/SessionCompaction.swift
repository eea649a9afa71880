// Keeps `spillway.session_frames` small. Every commit adds a row for each range of each session; ranges that touch become one.
//
// A collector joins the rows of the sessions that it has appended to, and the leader goes through the whole table, a page at a
// time: no step costs more for a larger table than the depth of its index.
// Invariant: the rows of a session do not overlap. One compaction at a time works on a database.

import Delivery
import FrameCodec
import Postgres
import StoreWriter

/// Rows of a session that end after a sequence.
public struct SessionWindow: Equatable, Sendable {
    public let key: SessionKey
    /// A row belongs to the window if it ends there or later.
    public let firstEnd: UInt64
    var lastEnd = UInt64(Int64.max)

    /// The rows that a range may touch which begins at `lowest` or later.
    public init(_ key: SessionKey, from lowest: UInt64) {
        self.key = key
        firstEnd = lowest
    }

    init(_ key: SessionKey, ends: ClosedRange<UInt64>) {
        self.key = key
        firstEnd = ends.lowerBound
        lastEnd = ends.upperBound
    }
}

/// Joins rows and forgets silent sessions. Used by one thread, outside of transactions.
public struct SessionCompaction {
    /// Rows of a window that are joined together, unless more are asked for.
    public static let rowsPerWindowMax = 1_000
    /// `spllcmpc` in ASCII: the lock of the collector that joins rows.
    private static let lock: Int64 = 0x7370_6C6C_636D_7063

    private let connection: DatabaseConnection

    public init(_ connection: DatabaseConnection) { self.connection = connection }

    /// Joins the rows in the windows that touch each other, the first `rowsMax` of each. O(rows in the windows).
    ///
    /// - Returns: how many rows are gone; nil when another collector is at it.
    public func join(
        _ windows: [SessionWindow], rowsMax: Int = rowsPerWindowMax
    ) throws(DatabaseError) -> Int? {
        guard !windows.isEmpty else { return 0 }
        return try connection.inTransaction { () throws(DatabaseError) -> Int? in
            let lock = try connection.query(
                "SELECT pg_try_advisory_xact_lock(\(Self.lock))", operation: "locking spillway.session_frames")
            guard lock.first?.first == "t" else { return nil }
            let rows = try connection.query(
                Self.joinStatement,
                [
                    SessionLedger.array(windows.map(\.key.source)), SessionLedger.array(windows.map(\.key.session)),
                    SessionLedger.array(windows.map(\.firstEnd)), SessionLedger.array(windows.map(\.lastEnd)),
                    String(rowsMax),
                ], operation: "joining ranges in spillway.session_frames")
            return rows.first?[0].flatMap { Int($0) } ?? 0
        }
    }

    /// What is joined is computed from the rows that were deleted: others cannot have taken a part of them.
    private static let joinStatement = """
        WITH near AS (
            SELECT s.* FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
                w (source, session, first_end, last_end)
            CROSS JOIN LATERAL (
                SELECT source, session, first, behind FROM spillway.session_frames f
                WHERE f.source = w.source AND f.session = w.session AND f.behind BETWEEN w.first_end AND w.last_end
                ORDER BY f.behind LIMIT $5::bigint
            ) s
        ), touching AS (
            SELECT source, session, first, behind,
                first = lag(behind) OVER session OR behind = lead(first) OVER session AS touches
            FROM near WINDOW session AS (PARTITION BY source, session ORDER BY behind)
        ), gone AS (
            DELETE FROM spillway.session_frames f USING touching t
            WHERE t.touches AND f.source = t.source AND f.session = t.session AND f.behind = t.behind
            RETURNING f.source, f.session, f.first, f.behind, f.committed_at
        ), begins AS (
            SELECT *, first IS DISTINCT FROM lag(behind) OVER (PARTITION BY source, session ORDER BY behind) AS is_begin
            FROM gone
        ), island AS (
            SELECT *, count(*) FILTER (WHERE is_begin) OVER (PARTITION BY source, session ORDER BY behind) AS number
            FROM begins
        ), joined AS (
            INSERT INTO spillway.session_frames (source, session, first, behind, committed_at)
            SELECT source, session, min(first), max(behind), max(committed_at)
            FROM island GROUP BY source, session, number
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM gone) - (SELECT count(*) FROM joined)
        """

    /// Forgets those of the sessions of which nothing was stored since a time. O(rows of these sessions).
    ///
    /// - Parameter cutoff: microseconds since the Unix epoch.
    /// - Returns: how many rows are gone.
    func forget(_ keys: [SessionKey], silentSince cutoff: Int64) throws(DatabaseError) -> Int {
        guard !keys.isEmpty else { return 0 }
        let rows = try connection.query(
            """
            WITH silent AS (
                SELECT source, session FROM spillway.session_frames
                WHERE (source, session) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[]))
                GROUP BY source, session HAVING max(committed_at) < \(DatabaseClock.time("$3"))
            ), gone AS (
                DELETE FROM spillway.session_frames f USING silent s
                WHERE f.source = s.source AND f.session = s.session RETURNING 1
            )
            SELECT count(*) FROM gone
            """, [SessionLedger.array(keys.map(\.source)), SessionLedger.array(keys.map(\.session)), String(cutoff)],
            operation: "forgetting silent sessions")
        return rows.first?[0].flatMap { Int($0) } ?? 0
    }
}
