// What the database has of clients' sessions: the ranges of frames that are committed.

import Accounting
import Delivery
import FrameCodec
import Postgres

/// Reads and tends `spillway.session_frames`. Used by one thread.
public struct SessionLedger {
    private let connection: DatabaseConnection

    public init(_ connection: DatabaseConnection) { self.connection = connection }

    /// Rows of a session that are read for its welcome, the latest first. A client that waits for acknowledgements has sent the
    /// latest frames; one that sends older ones again has them stored once.
    private static let rowsPerSessionRead = 1_024

    /// The stored frames of each of these sessions, the latest `SessionLimits.rangesPerSessionMax` ranges of them; an empty set for
    /// one that the ledger does not know. O(`rowsPerSessionRead`) for each session, by their index.
    public func storedFrames(of keys: [SessionKey]) throws(DatabaseError) -> [SessionKey: SequenceRanges] {
        let rows = try connection.query(
            """
            SELECT k.source, k.session, f.first, f.behind FROM unnest($1::bigint[], $2::bigint[]) k (source, session)
            CROSS JOIN LATERAL (
                SELECT first, behind FROM spillway.session_frames s WHERE s.source = k.source AND s.session = k.session
                ORDER BY behind DESC LIMIT \(Self.rowsPerSessionRead)
            ) f ORDER BY f.first
            """,
            [Self.array(keys.map(\.source)), Self.array(keys.map(\.session))],
            operation: "looking for frames that are stored already")
        var found = try ranges(rows)
        // Their clients are told that they are stored.
        if !found.isEmpty { try connection.waitForEarlierCommits() }
        for key in keys {
            var stored = found[key] ?? SequenceRanges()
            stored.keepLast(SessionLimits.rangesPerSessionMax)
            found[key] = stored
        }
        return found
    }

    /// Which of these frames are stored, by session, only where there are any. O(rows of these sessions from the first of the
    /// frames on), by their index.
    public func storedFrames(among frames: [SessionFrames]) throws(DatabaseError) -> [SessionKey: SequenceRanges] {
        let wanted = frames.flatMap { frames in frames.sequences.ranges.map { (frames.key, $0) } }
        guard !wanted.isEmpty else { return [:] }
        let rows = try connection.query(
            """
            SELECT w.source, w.session, greatest(f.first, w.first), least(f.behind, w.behind)
            FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) w (source, session, first, behind)
            CROSS JOIN LATERAL (
                SELECT first, behind FROM spillway.session_frames s
                WHERE s.source = w.source AND s.session = w.session AND s.behind > w.first AND s.first < w.behind
            ) f ORDER BY 3
            """,
            [
                Self.array(wanted.map(\.0.source)), Self.array(wanted.map(\.0.session)),
                Self.array(wanted.map(\.1.lowerBound)), Self.array(wanted.map(\.1.upperBound)),
            ], operation: "looking for frames that are stored already")
        let found = try ranges(rows)
        if !found.isEmpty { try connection.waitForEarlierCommits() }
        return found
    }

    private func ranges(_ rows: [[String?]]) throws(DatabaseError) -> [SessionKey: SequenceRanges] {
        var found: [SessionKey: SequenceRanges] = [:]
        for row in rows {
            let numbers = row.compactMap { $0.flatMap { Int64($0) } }.map { UInt64(bitPattern: $0) }
            guard numbers.count == 4, numbers[2] < numbers[3] else {
                throw connection.error(
                    .unexpectedReply(reason: "spillway.session_frames holds a row that is no range of frames"))
            }
            found[SessionKey(source: numbers[0], session: numbers[1]), default: SequenceRanges()]
                .insert(numbers[2]..<numbers[3])
        }
        return found
    }

    package static func array(_ values: [UInt64]) -> String {
        "{" + values.map { String(Int64(bitPattern: $0)) }.joined(separator: ",") + "}"
    }
}
