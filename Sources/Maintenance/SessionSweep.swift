// The leader's way through all of `spillway.session_frames`: a page for each call, in the order of the index, and from the beginning
// again after the last. It joins the rows that no collector has joined, for example those of one that has ended, and forgets
// sessions that have been silent for long.

import Delivery
import FrameCodec
import Postgres

/// What a page of the sweep did.
public struct SessionSweepReport: Equatable, Sendable {
    public var rowsRead = 0
    public var rowsJoined = 0
    public var rowsForgotten = 0
    /// The table's end was reached: the next page is the first one.
    public var isAtEnd = false
    /// What an operator should know.
    public var warnings: [String] = []
}

/// Where the sweep is. Used by one thread, outside of transactions.
public struct SessionSweep {
    /// A client that was silent for this time does not send again what it had no answer for.
    static let sessionDays = 90
    private static let microsecondsPerDay: Int64 = 86_400_000_000
    static let rowsPerPage = 20_000

    /// The last row of the page before.
    private struct Place {
        var source = Int64.min
        var session = Int64.min
        var end = Int64.min
    }

    private struct PageSession {
        let key: SessionKey
        let ends: ClosedRange<UInt64>
        let rows: Int
        let touching: Int
        let isSilent: Bool
    }

    private var last = Place()

    public init() {}

    /// Whether this session is the one that sweeps, which it becomes when there is none.
    public static func isLeader(_ connection: DatabaseConnection) throws(DatabaseError) -> Bool {
        try Leadership.sessionSweep.isHeld(by: connection)
    }

    /// Does the next page. O(`rowsPerPage`), whatever the size of the table.
    ///
    /// - Parameter localMicroseconds: this machine's time. Sessions are forgotten by the earlier of it and the server's: a clock
    ///   that has jumped ahead must not forget a session whose client will send again.
    public mutating func nextPage(
        _ connection: DatabaseConnection, localMicroseconds: Int64
    ) throws(DatabaseError) -> SessionSweepReport {
        var report = SessionSweepReport()
        let (now, warning) = try DatabaseClock.earlier(of: localMicroseconds, connection)
        if let warning { report.warnings.append("\(warning): silent sessions are forgotten by the earlier of them") }
        let cutoff = now - Int64(Self.sessionDays) * Self.microsecondsPerDay
        let sessions = try page(connection, cutoff)
        report.rowsRead = sessions.reduce(0) { $0 + $1.rows }
        let compaction = SessionCompaction(connection)
        let silent = sessions.filter(\.isSilent).map(\.key)
        report.rowsForgotten = try compaction.forget(silent, silentSince: cutoff)
        let windows = sessions.filter { $0.touching > 0 }.map { SessionWindow($0.key, ends: $0.ends) }
        report.rowsJoined = try compaction.join(windows, rowsMax: Self.rowsPerPage) ?? 0
        report.isAtEnd = report.rowsRead < Self.rowsPerPage
        if let end = sessions.last, !report.isAtEnd {
            last = Place(
                source: Int64(bitPattern: end.key.source), session: Int64(bitPattern: end.key.session),
                end: Int64(bitPattern: end.ends.upperBound))
        } else {
            last = Place()
        }
        return report
    }

    private func page(_ connection: DatabaseConnection, _ cutoff: Int64) throws(DatabaseError) -> [PageSession] {
        let rows = try connection.query(
            """
            WITH page AS (
                SELECT source, session, first, behind, committed_at FROM spillway.session_frames
                WHERE (source, session, behind) > ($1::bigint, $2::bigint, $3::bigint)
                ORDER BY source, session, behind LIMIT \(Self.rowsPerPage)
            ), touching AS (
                SELECT *, first = lag(behind) OVER (PARTITION BY source, session ORDER BY behind) AS touches FROM page
            )
            SELECT source, session, min(behind), max(behind), count(*), count(*) FILTER (WHERE touches),
                max(committed_at) < \(DatabaseClock.time("$4"))
            FROM touching GROUP BY source, session ORDER BY source, session
            """, [String(last.source), String(last.session), String(last.end), String(cutoff)],
            operation: "reading a page of spillway.session_frames")
        var sessions: [PageSession] = []
        for row in rows {
            let numbers = row.prefix(6).compactMap { $0.flatMap { Int64($0) } }
            guard numbers.count == 6, row.count == 7, numbers[2] <= numbers[3] else {
                throw connection.error(.unexpectedReply(reason: "a session's rows could not be counted"))
            }
            sessions.append(
                PageSession(
                    key: SessionKey(source: UInt64(bitPattern: numbers[0]), session: UInt64(bitPattern: numbers[1])),
                    ends: UInt64(bitPattern: numbers[2])...UInt64(bitPattern: numbers[3]), rows: Int(numbers[4]),
                    touching: Int(numbers[5]), isSilent: row[6] == "t"))
        }
        return sessions
    }
}
