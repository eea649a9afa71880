// How many chunks of long ago a source may open. Records that come late belong to chunks that are there; a source that needs many
// new ones has a wrong clock, or is a backfill, which its operator announces (`--accept-past off`).

import LinuxSystem
import MetricKinds
import Postgres
import Synchronization
import Text

/// Shared by the lanes of a collector.
///
/// Limits: `chunksPerSourceMax` new chunks for each source and `chunksMax` for all of them within an hour. What is allowed once
/// stays allowed for that hour, so that a repeated attempt is judged like the first one.
public final class OldChunkBudget: Sendable {
    /// Older rows open old chunks.
    public static let ageMicroseconds: Int64 = 7 * 86_400_000_000
    package static let chunksPerSourceMax = 32
    package static let chunksMax = 256
    private static let hour: UInt64 = 3_600_000_000_000
    /// The chunks that are there are read again no more often than this.
    private static let lookNanoseconds: UInt64 = 10_000_000_000

    /// What old chunks there are.
    package struct Present: Sendable {
        var days: Set<TableDay> = []
        /// The length of a hypertable's new chunk, in whole days and at least one.
        var chunkDays: [MetricKind: Int64] = [:]
        /// New chunks of one day, where they are shorter than one.
        var chunksPerDay: [MetricKind: Int] = [:]

        /// A table that is no hypertable has none to open: it takes rows of any day as they are.
        func opensChunk(_ day: TableDay) -> Bool { chunkDays[day.kind] != nil && !days.contains(day) }

        /// One value for all days of a chunk.
        func chunk(_ day: TableDay) -> TableDay {
            let length = chunkDays[day.kind] ?? 1
            return TableDay(day.kind, day: day.day - (day.day % length + length) % length)
        }
    }

    fileprivate struct State {
        var present = Present()
        var nextLook: UInt64 = 0
        /// When each chunk was allowed. At most `chunksMax` in all.
        var opened: [UInt64: [TableDay: (at: UInt64, chunks: Int)]] = [:]
    }

    private let state = Mutex(State())

    public init() {}

    /// The same with the chunks of a database. Outside of transactions.
    public func denied(
        _ days: [UInt64: Set<TableDay>], now: UInt64, _ connection: DatabaseConnection
    ) throws(DatabaseError) -> [UInt64: Set<TableDay>] {
        try denied(days, now: now) { () throws(DatabaseError) in try Self.read(connection) }
    }

    /// Judges the old days of a batch.
    ///
    /// - Parameters:
    ///   - days: by source, of rows that are accepted otherwise.
    ///   - now: of the monotonic clock, in nanoseconds.
    ///   - present: reads which old days have chunks.
    /// - Returns: by source, the days whose rows are to be left out; none where all are allowed.
    /// - Complexity: O(days), and one query every `lookNanoseconds` where days are new.
    package func denied(
        _ days: [UInt64: Set<TableDay>], now: UInt64, present: () throws(DatabaseError) -> Present
    ) throws(DatabaseError) -> [UInt64: Set<TableDay>] {
        let mustLook = state.withLock { state in
            guard now >= state.nextLook else { return false }
            return days.contains { source, days in
                days.contains { !state.present.days.contains($0) && !state.isAllowed($0, source) }
            }
        }
        // Outside of the lock: other lanes go on.
        let found = mustLook ? try present() : nil
        return state.withLock { state in
            if let found {
                state.present = found
                state.nextLook = now + Self.lookNanoseconds
            }
            state.forget(before: now > Self.hour ? now - Self.hour : 0)
            var denied: [UInt64: Set<TableDay>] = [:]
            // In one order, whatever the dictionary's.
            for (source, days) in days.sorted(by: { $0.key < $1.key }) {
                for day in days.sorted(by: TableDay.isNewer) where state.present.opensChunk(day) {
                    if !state.allow(day, to: source, now) { denied[source, default: []].insert(day) }
                }
            }
            return denied
        }
    }

    /// Reads the days of old chunks. O(chunks).
    package static func read(_ connection: DatabaseConnection) throws(DatabaseError) -> Present {
        var present = Present()
        let lengths = try connection.query(
            """
            SELECT hypertable_name, extract(epoch FROM time_interval)::bigint
            FROM timescaledb_information.dimensions
            WHERE hypertable_schema = '\(MetricKind.schemaName)' AND dimension_number = 1
            """, operation: "reading the length of chunks")
        for row in lengths {
            guard let kind = MetricKind.allCases.first(where: { $0.tableName == row[0] }) else { continue }
            let seconds = max(1, row[1].flatMap { Int64($0) } ?? 86_400)
            present.chunkDays[kind] = max(1, seconds / 86_400)
            present.chunksPerDay[kind] = Int(max(1, (86_400 + seconds - 1) / seconds))
        }
        let rows = try connection.query(
            """
            SELECT hypertable_name, \(SQLTime.microseconds("range_start")), \(SQLTime.microseconds("range_end"))
            FROM timescaledb_information.chunks
            WHERE hypertable_schema = '\(MetricKind.schemaName)' AND range_start < now() - interval '6 days'
            """, operation: "listing the old chunks")
        // A day with some of its chunks may open the others.
        var covered: [TableDay: Int64] = [:]
        for row in rows {
            guard let kind = MetricKind.allCases.first(where: { $0.tableName == row[0] }),
                let start = row[1].flatMap({ Int64($0) }), let end = row[2].flatMap({ Int64($0) }), start < end
            else { continue }
            let last = UTCDay(microseconds: end - 1).number
            for day in UTCDay(microseconds: start).number...last {
                let (dayStart, dayEnd) = (day * Self.dayMicroseconds, (day + 1) * Self.dayMicroseconds)
                covered[TableDay(kind, day: day), default: 0] += min(end, dayEnd) - max(start, dayStart)
            }
        }
        present.days = Set(covered.filter { $0.value >= Self.dayMicroseconds }.keys)
        return present
    }

    private static let dayMicroseconds: Int64 = 86_400_000_000
}

extension OldChunkBudget.State {
    fileprivate mutating func forget(before time: UInt64) {
        for (source, days) in opened {
            let rest = days.filter { $0.value.at >= time }
            if rest.count < days.count { opened[source] = rest.isEmpty ? nil : rest }
        }
    }

    fileprivate mutating func allow(_ day: TableDay, to source: UInt64, _ now: UInt64) -> Bool {
        if isAllowed(day, source) { return true }
        let chunks = present.chunksPerDay[day.kind] ?? 1
        let ofSource = opened[source]?.values.reduce(chunks) { $0 + $1.chunks } ?? chunks
        let ofAll = opened.values.reduce(chunks) { $0 + $1.values.reduce(0) { $0 + $1.chunks } }
        guard ofAll <= OldChunkBudget.chunksMax, ofSource <= OldChunkBudget.chunksPerSourceMax else { return false }
        opened[source, default: [:]][present.chunk(day)] = (now, chunks)
        return true
    }

    fileprivate func isAllowed(_ day: TableDay, _ source: UInt64) -> Bool {
        opened[source]?[present.chunk(day)] != nil
    }
}

extension TableDay {
    /// The newest days are the likeliest to be right.
    fileprivate static func isNewer(_ left: TableDay, _ right: TableDay) -> Bool {
        (-left.day, left.kind.rawValue) < (-right.day, right.kind.rawValue)
    }
}
