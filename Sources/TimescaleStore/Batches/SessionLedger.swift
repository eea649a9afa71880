// What the database has of clients' sessions: the ranges of frames that are committed.

import Delivery
import FrameCodec

/// Reads and tends `spillway.session_frames`. Used by one thread.
public struct SessionLedger {
    private let connection: DatabaseConnection

    public init(_ connection: DatabaseConnection) { self.connection = connection }

    /// The stored frames of each of these sessions; an empty set for one that the ledger does not know. O(rows of these
    /// sessions), by their index.
    public func storedFrames(of keys: [SessionKey]) throws(DatabaseError) -> [SessionKey: SequenceRanges] {
        var found: [SessionKey: SequenceRanges] = [:]
        for key in keys { found[key] = SequenceRanges() }
        let rows = try connection.query(
            """
            SELECT source, session, first, behind FROM spillway.session_frames
            WHERE (source, session) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[])) ORDER BY first
            """,
            [Self.array(keys.map(\.source)), Self.array(keys.map(\.session))],
            operation: "looking for frames that are stored already")
        for row in rows {
            let numbers = row.compactMap { $0.flatMap { Int64($0) } }.map { UInt64(bitPattern: $0) }
            guard numbers.count == 4, numbers[2] < numbers[3] else {
                throw connection.error(
                    .unexpectedReply(reason: "spillway.session_frames holds a row that is no range of frames"))
            }
            found[SessionKey(source: numbers[0], session: numbers[1])]?.insert(numbers[2]..<numbers[3])
        }
        return found
    }

    private static func array(_ values: [UInt64]) -> String {
        "{" + values.map { String(Int64(bitPattern: $0)) }.joined(separator: ",") + "}"
    }

    /// Sessions in which more rows than this touch the one before them are put together.
    private static let rowsPerSessionMax = 64
    private static let sessionsAtOnce = 100

    /// Joins the ranges of long sessions into as few rows as they need.
    ///
    /// - Returns: how many rows are gone. 0: nothing is left to do.
    public func compact() throws(DatabaseError) -> Int {
        let rows = try connection.query(
            """
            WITH long AS (
                SELECT source, session FROM (
                    SELECT source, session, first <= max(behind) OVER (PARTITION BY source, session
                        ORDER BY first, behind ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS joins
                    FROM spillway.session_frames) ranges
                GROUP BY source, session HAVING count(*) FILTER (WHERE joins) > \(Self.rowsPerSessionMax)
                LIMIT \(Self.sessionsAtOnce)
            ), gone AS (
                DELETE FROM spillway.session_frames f USING long
                WHERE f.source = long.source AND f.session = long.session
                RETURNING f.source, f.session, f.first, f.behind, f.committed_at
            ), reach AS (
                SELECT *, max(behind) OVER (PARTITION BY source, session ORDER BY first, behind
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                FROM gone
            ), island AS (
                SELECT *, count(*) FILTER (WHERE before IS NULL OR first > before)
                    OVER (PARTITION BY source, session ORDER BY first, behind) AS number
                FROM reach
            ), joined AS (
                INSERT INTO spillway.session_frames (source, session, first, behind, committed_at)
                SELECT source, session, min(first), max(behind), max(committed_at)
                FROM island GROUP BY source, session, number
                RETURNING 1
            )
            SELECT (SELECT count(*) FROM gone) - (SELECT count(*) FROM joined)
            """, operation: "joining ranges in spillway.session_frames")
        return rows.first?.first.flatMap { $0 }.flatMap { Int($0) } ?? 0
    }
}
