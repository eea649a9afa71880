// Rows of sessions are joined where they touch: what is stored of a session stays the same, in as few rows as it takes.

import Delivery
import Foundation
import FrameCodec
import LinuxSystem
import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreWriter
@testable import Maintenance
@testable import Postgres

@Suite struct SessionCompactionTests {
    private static func made(_ flavour: TestFlavour) throws -> DatabaseConnection {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        return connection
    }

    private static func rows(_ connection: DatabaseConnection) throws -> [[String?]] {
        try connection.query("SELECT source, session, first, behind FROM spillway.session_frames ORDER BY 1, 2, 3")
    }

    @Test(arguments: TestFlavour.allCases) func rowsThatTouchAreJoinedAndGapsStay(_ flavour: TestFlavour) throws {
        let connection = try Self.made(flavour)
        try connection.execute(
            """
            INSERT INTO spillway.session_frames (source, session, first, behind) VALUES
                (1, 1, 1, 5), (1, 1, 5, 9), (1, 1, 9, 10), (1, 1, 11, 12), (1, 1, 12, 20), (1, 2, 20, 30), (-1, 1, 10, 11)
            """)
        let key = SessionKey(source: 1, session: 1)
        let compaction = SessionCompaction(connection)
        // What ends before the window is left alone.
        #expect(try compaction.join([SessionWindow(key, from: 10)]) == 1)
        #expect(
            try Self.rows(connection) == [
                ["-1", "1", "10", "11"], ["1", "1", "1", "5"], ["1", "1", "5", "9"], ["1", "1", "9", "10"],
                ["1", "1", "11", "20"], ["1", "2", "20", "30"],
            ])
        #expect(try compaction.join([SessionWindow(key, from: 1), SessionWindow(key, from: 1)]) == 2)
        #expect(
            try Self.rows(connection) == [
                ["-1", "1", "10", "11"], ["1", "1", "1", "10"], ["1", "1", "11", "20"], ["1", "2", "20", "30"],
            ])
        #expect(try compaction.join([SessionWindow(key, from: 1)]) == 0)
    }

    @Test func oneCompactionAtATimeWorksOnADatabase() throws {
        let location = try TestServers.database(.plain)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        let other = try DatabaseConnection(location)
        try other.execute("BEGIN; SELECT pg_advisory_xact_lock(\(0x7370_6C6C_636D_7063))")
        let window = SessionWindow(SessionKey(source: 1, session: 1), from: 1)
        #expect(try SessionCompaction(connection).join([window]) == nil)
        try other.commit()
        #expect(try SessionCompaction(connection).join([window]) == 0)
    }

    @Test func theSweepGoesThroughTheTablePageByPageAndJoinsWhatNoCollectorHas() throws {
        let connection = try Self.made(.plain)
        // Ten sessions of 5,000 rows that touch, one of gaps alone.
        try connection.execute(
            """
            INSERT INTO spillway.session_frames (source, session, first, behind)
            SELECT s, 7, n, n + 1 FROM generate_series(1, 10) s, generate_series(1, 5000) n
            UNION ALL SELECT 11, 7, 2 * n, 2 * n + 1 FROM generate_series(1, 5000) n
            """)
        var sweep = SessionSweep()
        var pages = 0
        var joined = 0
        while true {
            let report = try sweep.nextPage(connection, localMicroseconds: wallClockMicroseconds())
            pages += 1
            joined += report.rowsJoined
            #expect(report.rowsRead <= SessionSweep.rowsPerPage && report.rowsForgotten == 0)
            if report.isAtEnd { break }
        }
        #expect(pages == 3)
        #expect(try Self.rows(connection).filter { $0[0] == "11" }.count == 5_000)
        // The next round joins what stood on two pages.
        while true {
            let report = try sweep.nextPage(connection, localMicroseconds: wallClockMicroseconds())
            joined += report.rowsJoined
            if report.isAtEnd { break }
        }
        let left = try Self.rows(connection)
        #expect(left.filter { $0[0] != "11" } == (1...10).map { ["\($0)", "7", "1", "5001"] })
        #expect(joined == 55_000 - left.count)
    }

    /// Two collectors and two compactions at once: no range is lost, none is there twice.
    @Test func rangesSurviveCompactionBesideCommits() throws {
        let location = try TestServers.database(.plain)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        let key = SessionKey(source: 9, session: 9)
        let rounds = 60
        let threads = try (0..<4).map { index in
            try NamedThread(name: "sessions-\(index)") {
                do {
                    let own = try DatabaseConnection(location)
                    for round in 0..<rounds {
                        if index < 2 {
                            // One stores the even frames, the other the odd ones.
                            let number = UInt64(2 * round + index + 1)
                            let batch = try SampleBatch(
                                epoch: Int64(index + 1), sequence: Int64(round + 1),
                                times: [wallClockMicroseconds()], kind: .rag, firstFrame: number)
                            #expect(try batch.store(own) == StoredBatch())
                        } else {
                            _ = try SessionCompaction(own).join([SessionWindow(key, from: 1)])
                        }
                    }
                } catch {
                    Issue.record(error)
                }
            }
        }
        for thread in threads { thread.join() }
        let all = SequenceRanges([1..<UInt64(2 * rounds) + 1])
        #expect(try SessionLedger(connection).storedFrames(of: [key]) == [key: all])
        let sum = try connection.query("SELECT sum(behind - first) FROM spillway.session_frames")
        #expect(sum == [["\(2 * rounds)"]])
        _ = try SessionCompaction(connection).join([SessionWindow(key, from: 1)])
        #expect(try Self.rows(connection) == [["9", "9", "1", "\(2 * rounds + 1)"]])
    }

    @Test func aCommitComparesOneRowHoweverManyTheSessionHas() throws {
        let connection = try Self.made(.plain)
        try connection.execute(
            """
            INSERT INTO spillway.session_frames (source, session, first, behind)
            SELECT 9, 9, 4 * n, 4 * n + 2 FROM generate_series(1, 50000) n;
            ANALYZE spillway.session_frames
            """)
        // Between the rows, at their edges, over several of them.
        let frames: [(UInt64, isStored: Bool)] = [
            (1, false), (4, true), (5, true), (6, false), (7, false), (200_001, true), (200_002, false),
        ]
        for (first, isStored) in frames {
            let batch = try SampleBatch(
                epoch: 1, sequence: Int64(first), times: [wallClockMicroseconds()], kind: .rag, firstFrame: first)
            var isRefused = false
            do { _ = try batch.store(connection) } catch let error as DatabaseError
                where error.kind == .framesStoredBefore
            { isRefused = true }
            #expect(isRefused == isStored, "frame \(first)")
        }
        let wide = [
            SessionFrames(key: SessionKey(source: 9, session: 9), sequences: SequenceRanges([6..<14, 100..<101]))
        ]
        #expect(
            try SessionLedger(connection).storedFrames(among: wide)
                == [SessionKey(source: 9, session: 9): SequenceRanges([6..<10, 12..<14, 100..<101])])
    }

    private struct Cost {
        var blocks = 0
        var milliseconds = 0.0
    }

    /// What a step costs: blocks of the table and its index, and time.
    private static func cost(_ connection: DatabaseConnection, _ step: () throws -> Void) throws -> Cost {
        func blocks() throws -> Int {
            try connection.query("SELECT pg_stat_force_next_flush()")
            let rows = try connection.query(
                """
                SELECT heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read FROM pg_statio_all_tables
                WHERE relid = 'spillway.session_frames'::regclass
                """)
            return try #require(rows[0][0].flatMap { Int($0) })
        }
        let before = try blocks()
        let start = monotonicNanoseconds()
        try step()
        let end = monotonicNanoseconds()
        return Cost(blocks: try blocks() - before, milliseconds: Double(end - start) / 1e6)
    }

    /// The long form has the twenty million rows of a year of busy clients.
    @Test(.timeLimit(.minutes(20))) func noStepCostsMoreInALargerTable() throws {
        let isLong = ProcessInfo.processInfo.environment["SPILLWAY_TORTURE"] == "1"
        var costs: [[Cost]] = []
        for rows in [100_000, isLong ? 20_000_000 : 1_000_000] {
            let connection = try Self.made(.plain)
            // Sessions of a hundred rows that do not touch; a hundred of them have sixty-four more that do.
            for first in stride(from: 1, through: rows / 100, by: 10_000) {
                let last = min(first + 9_999, rows / 100)
                try connection.execute(
                    """
                    INSERT INTO spillway.session_frames (source, session, first, behind)
                    SELECT s, 7, 3 * n, 3 * n + 2 FROM generate_series(\(first), \(last)) s, generate_series(1, 100) n
                    """)
            }
            try connection.execute(
                """
                INSERT INTO spillway.session_frames (source, session, first, behind)
                SELECT s * \(rows / 10_000), 7, 1000 + n, 1001 + n FROM generate_series(1, 100) s, generate_series(1, 64) n
                """)
            try connection.execute("ANALYZE spillway.session_frames")
            let commits = try Self.cost(connection) {
                for number in 1...50 as ClosedRange<UInt64> {
                    let batch = try SampleBatch(
                        epoch: 1, sequence: Int64(number), times: [wallClockMicroseconds()], kind: .rag,
                        firstFrame: 2 * number)
                    #expect(try batch.store(connection) == StoredBatch())
                }
            }
            let windows = (1...100).map {
                SessionWindow(SessionKey(source: UInt64($0 * (rows / 10_000)), session: 7), from: 1_001)
            }
            var joined: Int?
            let compaction = try Self.cost(connection) { joined = try SessionCompaction(connection).join(windows) }
            #expect(joined == 6_300)
            var sweep = SessionSweep()
            var report = SessionSweepReport()
            let page = try Self.cost(connection) {
                report = try sweep.nextPage(connection, localMicroseconds: wallClockMicroseconds())
            }
            #expect(report.rowsRead == SessionSweep.rowsPerPage)
            let keys = (1...16).map { SessionKey(source: UInt64($0 * (rows / 2_000)), session: 7) }
            let lookup = try Self.cost(connection) { _ = try SessionLedger(connection).storedFrames(of: keys) }
            costs.append([commits, compaction, page, lookup])
            for (name, cost) in zip(
                ["50 commits", "joining 6,400 rows", "a page of the sweep", "16 welcomes"], costs.last ?? [])
            {
                print("\(rows) rows: \(name) \(cost.blocks) blocks, \((cost.milliseconds * 10).rounded() / 10) ms")
            }
        }
        // The depth of an index is all that may grow.
        for (small, large) in zip(costs[0], costs[1]) { #expect(large.blocks < 2 * small.blocks + 200) }
    }
}
