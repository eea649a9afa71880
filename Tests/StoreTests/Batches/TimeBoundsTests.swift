// Times outside of what is accepted become dead letters, once, with their frames; all else of their batches is stored.

import Delivery
import FrameCodec
import MetricKinds
import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreWriter
@testable import Maintenance
@testable import Postgres

@Suite struct TimeBoundsTests {
    private static let day: Int64 = 86_400_000_000
    /// 2026-11-22.
    private static let arrival: Int64 = 1_795_305_600_000_000
    private static let bounds = TimeBounds(past: 90 * day, future: 3_600_000_000)

    private static func connection(_ flavour: TestFlavour) throws -> DatabaseConnection {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply(daysAhead: 0)
        return connection
    }

    /// Frames of one source, one for each list of ages in hours.
    private static func frames(_ ages: [[Int]], source: UInt64 = 5) throws -> [UInt8] {
        var frames: [UInt8] = []
        for (number, ages) in ages.enumerated() {
            var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
            for age in ages {
                let time = arrival - Int64(age) * 3_600_000_000
                #expect(try encoder.append(PointRecord(time: time, metricName: "m", value: Double(age))))
                if age % 2 == 0 { #expect(try encoder.append(RoutingRecord(time: time, queryID: "q\(age)"))) }
            }
            let identity = FrameIdentity(source: source, session: 1, sequence: UInt64(number + 1))
            frames += try #require(encoder.finish(identity) { frame in frame.withUnsafeBytes { Array($0) } })
        }
        return frames
    }

    private static func summary(_ frames: [UInt8], sequence: Int64 = 1, arrival: Int64 = arrival) -> BatchSummary {
        BatchSummary(
            identity: BatchIdentity(epoch: 8, sequence: sequence), recordCount: 0, frameCount: 0,
            byteCount: frames.count, openedMicroseconds: arrival, sessions: [])
    }

    private static func store(
        _ connection: DatabaseConnection, _ frames: [UInt8], sequence: Int64 = 1, arrival: Int64 = arrival,
        _ judgement: TimeJudgement = TimeJudgement(bounds), without held: KindSet = []
    ) throws -> (outcome: StoredBatch, decoded: DecodedBatch) {
        let decoded = DecodedBatch()
        decoded.judgement = judgement
        let outcome = try frames.span.bytes.withUnsafeBytes { raw in
            decoded.decode(raw, summary(frames, sequence: sequence, arrival: arrival))
            return try BatchWriter(connection, fence: CommitFence(key: 80)).store(
                summary(frames, sequence: sequence, arrival: arrival), frames: raw, decoded: decoded,
                keepsMalformed: true, without: held)
        }
        return (outcome, decoded)
    }

    private static func points(_ connection: DatabaseConnection) throws -> [String?] {
        try connection.query("SELECT value::integer FROM metrics.metric_points ORDER BY value").map { $0[0] }
    }

    @Test func theBoundsDoNotOverflow() {
        let all = TimeBounds(past: .max, future: .max)
        #expect(all.accepted(at: -9) == Int64.min...Int64.max - 9)
        #expect(all.accepted(at: 9) == 9 - Int64.max...Int64.max)
        #expect(TimeBounds.none.accepted(at: 0) == Int64.min...Int64.max)
        #expect(Self.bounds.accepted(at: 0) == -90 * Self.day...3_600_000_000)
    }

    @Test(arguments: TestFlavour.allCases) func whatIsOutsideBecomesALetterForEachFrame(_ flavour: TestFlavour) throws {
        let connection = try Self.connection(flavour)
        // Inside, at both bounds; outside of both; mixed; all outside.
        let frames = try Self.frames([[0, 1, 2, -1, 2_160], [2_161, 5, -2], [3, 1_000_000], [9_999_999, 9_999_998]])
        let (outcome, decoded) = try Self.store(connection, frames)
        #expect(decoded.sources[5]?.rows == 10 && decoded.sources[5]?.outOfBounds == 8)
        #expect(outcome.deadLetters == [5: 8])
        #expect(try Self.points(connection) == ["-1", "0", "1", "2", "3", "5", "2160"])
        // Each frame has its own of each kind.
        let letters = try connection.query(
            "SELECT records, kind, sqlstate, split_part(reason, ';', 1) FROM spillway.dead_letters ORDER BY id")
        #expect(Set(letters.map { [$0[2], $0[3]] }) == [["22008", "time out of bounds"]])
        #expect(letters.filter { $0[1] == "routing" }.map { $0[0] } == ["1", "1", "1"], "\(letters)")
        #expect(letters.filter { $0[1] == "point" }.map { $0[0] } == ["2", "1", "2"], "\(letters)")
        // Again, as after an unknown COMMIT.
        #expect(try Self.store(connection, frames).outcome.wasStoredBefore)
        #expect(try connection.query("SELECT count(*) FROM spillway.dead_letters") == [["6"]])

        let box = DeadLetterBox(connection)
        let refused = try box.sendAgain(DeadLetterFilter())
        #expect(refused.recordsStored == 0 && refused.lettersLeft == 6)
        #expect(refused.lastReason?.contains("--any-time stores it") == true)
        let stored = try box.sendAgain(DeadLetterFilter(), anyTime: true)
        #expect(stored.recordsStored == 8 && stored.lettersLeft == 0, "\(stored)")
        #expect(try Self.points(connection).count == 12)
    }

    /// Rows that the server refuses stand in frames beside those that are out of bounds: each letter has its own record.
    @Test func refusedRowsAreFoundBesideThem() throws {
        let connection = try Self.connection(.plain)
        try connection.execute("ALTER TABLE metrics.metric_points ADD CHECK (value <> 7)")
        let frames = try Self.frames([[99_999, 1, 99_997, 7, 3], [99_995, 7, 5]])
        let (outcome, _) = try Self.store(connection, frames)
        #expect(outcome.deadLetters == [5: 5], "\(outcome)")
        #expect(try Self.points(connection) == ["1", "3", "5"])
        try connection.execute("ALTER TABLE metrics.metric_points DROP CONSTRAINT metric_points_value_check")
        let stored = try DeadLetterBox(connection).sendAgain(DeadLetterFilter(), anyTime: true)
        #expect(stored.recordsStored == 5 && stored.lettersLeft == 0, "\(stored)")
        #expect(try Self.points(connection) == ["1", "3", "5", "7", "7", "99995", "99997", "99999"])
    }

    /// A replay is judged by its arrival.
    @Test func whenItIsStoredDoesNotMatter() throws {
        let connection = try Self.connection(.plain)
        let frames = try Self.frames([[0, 2_000]])
        let early = Self.arrival - 400 * Self.day
        let (outcome, _) = try Self.store(connection, frames, arrival: early)
        #expect(outcome.deadLetters == [5: 4])
        #expect(try Self.store(connection, frames, sequence: 2).outcome.deadLetters.isEmpty)
    }

    /// A batch that is stored kind by kind and one that is stored in parts have each letter once.
    @Test func everyWayOfStoringKeepsThemOnce() throws {
        let connection = try Self.connection(.plain)
        let frames = try Self.frames([[2, 4, 99_998], [99_996, 6]])
        let (first, _) = try Self.store(connection, frames, without: KindSet(.routing))
        #expect(first.deadLetters == [5: 2] && first.waiting == [.routing: 5], "\(first)")
        #expect(try connection.query("SELECT sum(records) FROM spillway.dead_letters") == [["2"]])
        let part = StoredPart(kinds: first.kinds, waiting: first.waiting, settledFrames: first.settledFrames)
        let decoded = DecodedBatch()
        decoded.judgement = TimeJudgement(Self.bounds)
        let rest = try frames.span.bytes.withUnsafeBytes { raw in
            decoded.decode(raw, Self.summary(frames))
            return try BatchWriter(connection, fence: CommitFence(key: 80)).store(
                Self.summary(frames), frames: raw, decoded: decoded, keepsMalformed: true, counted: part)
        }
        #expect(rest.deadLetters == [5: 2] && rest.waiting.isEmpty, "\(rest)")
        #expect(try connection.query("SELECT sum(records) FROM spillway.dead_letters") == [["4"]])
        #expect(try connection.query("SELECT count(*) FROM metrics.routing_metrics") == [["3"]])
        #expect(try Self.points(connection) == ["2", "4", "6"])

        // More than 64 tables and days: in parts.
        let many = try Self.frames((0..<100).map { [$0 * 24, 99_999] }, source: 6)
        let wide = TimeJudgement(TimeBounds(past: 200 * Self.day, future: nil))
        let (parted, _) = try Self.store(connection, many, sequence: 3, wide)
        #expect(parted.deadLetters == [6: 100], "\(parted)")
        let letters = try connection.query("SELECT sum(records) FROM spillway.dead_letters WHERE source = 6")
        #expect(letters == [["100"]])
        #expect(try Self.store(connection, many, sequence: 3, wide).outcome.wasStoredBefore)
        #expect(try connection.query("SELECT sum(records) FROM spillway.dead_letters WHERE source = 6") == [["100"]])
    }

    /// Between the first attempt and the one that stores the rest, the operator has changed the bounds, or an hour has gone by.
    @Test(arguments: [false, true]) func whatWaitsIsJudgedWhenItIsStored(_ becomesNarrow: Bool) throws {
        let connection = try Self.connection(.plain)
        let frames = try Self.frames([[2, 4, 99_998], [99_996, 6]])
        let (narrow, wide) = (TimeJudgement(Self.bounds), TimeJudgement())
        let (first, _) = try Self.store(
            connection, frames, becomesNarrow ? wide : narrow, without: KindSet(.routing))
        #expect(first.deadLetters == (becomesNarrow ? [:] : [5: 2]) && first.waiting == [.routing: 5], "\(first)")
        // As after a restart: nothing is counted of it.
        let (rest, decoded) = try Self.store(connection, frames, becomesNarrow ? narrow : wide)
        #expect(rest.waiting.isEmpty && rest.partRecords == [5: 5], "\(rest)")
        #expect(decoded.sources[5]?.outOfBounds == (becomesNarrow ? 2 : 0))
        let rows = try connection.query(
            "SELECT (SELECT count(*) FROM metrics.routing_metrics), (SELECT count(*) FROM metrics.metric_points)")
        #expect(rows == [becomesNarrow ? ["3", "5"] : ["5", "3"]])
        #expect(
            try connection.query("SELECT kind, sum(records) FROM spillway.dead_letters GROUP BY 1")
                == [[becomesNarrow ? "routing" : "point", "2"]])
    }

    // MARK: Old chunks

    private static func days(_ days: Range<Int64>, _ kind: MetricKind = .point) -> Set<TableDay> {
        Set(days.map { TableDay(kind, day: $0) })
    }

    @Test func aSourceOpensAFewOldChunksInAnHour() throws {
        let budget = OldChunkBudget()
        var looks = 0
        func denied(_ days: [UInt64: Set<TableDay>], at seconds: UInt64) throws -> [UInt64: Set<TableDay>] {
            try budget.denied(days, now: seconds * 1_000_000_000) { () throws(DatabaseError) in
                looks += 1
                return OldChunkBudget.Present(days: Self.days(0..<10), chunkDays: [.point: 1, .rag: 7])
            }
        }
        // Those that are there cost nothing, the newest come first, and what was allowed stays allowed.
        #expect(try denied([1: Self.days(0..<50)], at: 10) == [1: Self.days(10..<18)])
        #expect(try denied([1: Self.days(0..<50)], at: 1_000) == [1: Self.days(10..<18)])
        #expect(try denied([1: Self.days(18..<50)], at: 1_001).isEmpty)
        #expect(looks == 2)
        // Another source has its own, and weeks are weeks.
        #expect(try denied([2: Self.days(700..<924, .rag)], at: 1_020).isEmpty)
        #expect(try denied([2: Self.days(924..<925, .rag)], at: 1_021) == [2: Self.days(924..<925, .rag)])
        // An hour later there is room.
        #expect(try denied([1: Self.days(10..<18)], at: 3_700).isEmpty)
    }

    /// Native partitions on a server with TimescaleDB.
    @Test func aTableWithoutChunksOpensNone() throws {
        let denied = try OldChunkBudget().denied([1: Self.days(0..<90)], now: 5_000_000_000_000) {
            () throws(DatabaseError) in OldChunkBudget.Present(chunkDays: [.rag: 1])
        }
        #expect(denied.isEmpty)
    }

    @Test func chunksOfAnHourCountAsMany() throws {
        let budget = OldChunkBudget()
        let denied = try budget.denied([1: Self.days(0..<5)], now: 5_000_000_000_000) { () throws(DatabaseError) in
            OldChunkBudget.Present(chunkDays: [.point: 1], chunksPerDay: [.point: 24])
        }
        #expect(denied == [1: Self.days(0..<4)])
    }

    @Test func allSourcesTogetherAreLimited() throws {
        let budget = OldChunkBudget()
        let wanted = Dictionary(
            uniqueKeysWithValues: (0..<20).map { (UInt64($0), Self.days(Int64($0) * 100..<Int64($0) * 100 + 32)) })
        let denied = try budget.denied(wanted, now: 5_000_000_000_000) { () throws(DatabaseError) in
            OldChunkBudget.Present(chunkDays: [.point: 1])
        }
        #expect(denied.values.reduce(0) { $0 + $1.count } == 20 * 32 - 256)
    }

    @Test func theRowsOfDeniedDaysBecomeLetters() throws {
        let connection = try Self.connection(.timescale)
        let frames = try Self.frames((0..<60).map { [$0 * 24 + 1] })
        var judgement = TimeJudgement(Self.bounds, watchesOldDays: true)
        let decoded = DecodedBatch()
        decoded.judgement = judgement
        frames.span.bytes.withUnsafeBytes { decoded.decode($0, Self.summary(frames)) }
        #expect(decoded.oldDays.keys.map { $0 } == [5] && decoded.oldDays[5]?.count == 53)
        judgement.denied = try OldChunkBudget().denied(decoded.oldDays, now: 5_000_000_000_000, connection)
        #expect(judgement.denied[5]?.count == 53 - 32)
        let (outcome, _) = try Self.store(connection, frames, judgement)
        #expect(outcome.deadLetters == [5: 21])
        #expect(try Self.points(connection).count == 39)
        #expect(
            try connection.query("SELECT count(*) FROM spillway.dead_letters WHERE reason LIKE '%more than 32 chunks%'")
                == [["21"]])
        // The chunks are there now.
        #expect(try OldChunkBudget.read(connection).days.count >= 32)
    }
}
