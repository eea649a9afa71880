// A batch goes in once, whatever was known of the attempt before, and what cannot be a row is kept.

import Delivery
import FrameCodec
import LinuxSystem
import Testing
import TestSupport

@testable import StoreSchema
@testable import StoreWriter
@testable import Postgres

@Suite(.serialized) struct BatchWriterTests {
    private static let fence = CommitFence(key: 77)

    private static func frame(sequence: UInt64, _ records: PointRecord...) throws -> [UInt8] {
        var encoder = FrameEncoder()
        for record in records { #expect(try encoder.append(record)) }
        let identity = FrameIdentity(source: 5, session: 6, sequence: sequence)
        return try #require(encoder.finish(identity) { frame in frame.withUnsafeBytes { Array($0) } })
    }

    /// A frame that passes admission, with a payload that means nothing.
    private static func malformedFrame(sequence: UInt64) throws -> [UInt8] {
        var bytes = try frame(sequence: sequence, PointRecord(time: 1, metricName: "m", value: 1))
        let header = try FrameHeader.admit(bytes.span.bytes)
        bytes[header.headerLength] = 0x7F
        bytes.replaceSubrange(12..<16, with: repeatElement(0, count: 4))
        let checksum = Checksum.crc32c(bytes.span.bytes)
        withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(12..<16, with: $0) }
        return bytes
    }

    private static func summary(_ sequence: Int64, _ frames: [[UInt8]]) -> BatchSummary {
        BatchSummary(
            identity: BatchIdentity(epoch: 3, sequence: sequence), recordCount: frames.count, frameCount: frames.count,
            byteCount: frames.reduce(0) { $0 + $1.count }, openedMicroseconds: 0,
            sessions: [
                SessionFrames(
                    key: SessionKey(source: 5, session: 6),
                    sequences: frames.reduce(into: SequenceRanges()) { ranges, frame in
                        let sequence = (try? FrameHeader.admit(frame.span.bytes).identity.sequence) ?? 0
                        ranges.insert(sequence)
                    })
            ])
    }

    /// - Parameter acknowledged: for each frame, whether it came over a stream.
    private static func summary(_ sequence: Int64, _ frames: [[UInt8]], acknowledged: [Bool]) -> BatchSummary {
        var summary = summary(sequence, zip(frames, acknowledged).filter(\.1).map(\.0))
        summary.frameCount = frames.count
        var flags = FrameFlags()
        for isAcknowledged in acknowledged { flags.append(isAcknowledged) }
        summary.acknowledged = flags
        return summary
    }

    private static func store(
        _ connection: DatabaseConnection, _ sequence: Int64, _ frames: [[UInt8]], keepsMalformed: Bool = false,
        storedBefore: [SessionKey: SequenceRanges] = [:], acknowledged: [Bool]? = nil
    ) throws -> StoredBatch {
        let bytes = frames.flatMap { $0 }
        let decoded = DecodedBatch()
        return try bytes.span.bytes.withUnsafeBytes { raw in
            let summary =
                acknowledged.map { Self.summary(sequence, frames, acknowledged: $0) } ?? Self.summary(sequence, frames)
            decoded.decode(raw, summary, storedBefore: storedBefore)
            return try BatchWriter(connection, fence: fence).store(
                summary, frames: raw, decoded: decoded, keepsMalformed: keepsMalformed)
        }
    }

    private static func count(_ connection: DatabaseConnection, _ table: String) throws -> String? {
        try connection.query("SELECT count(*) FROM \(table)")[0][0]
    }

    private static func connection(_ flavour: TestFlavour) throws -> DatabaseConnection {
        let connection = try DatabaseConnection(try TestServers.database(flavour))
        _ = try SchemaManager(connection).apply(daysAhead: 1)
        return connection
    }

    @Test(arguments: TestFlavour.allCases) func aRepeatedBatchIsStoredOnce(_ flavour: TestFlavour) throws {
        let connection = try Self.connection(flavour)
        let frames = [try Self.frame(sequence: 1, PointRecord(time: 1, metricName: "m", value: 1))]
        #expect(try Self.store(connection, 1, frames) == StoredBatch())
        #expect(try Self.store(connection, 1, frames) == StoredBatch(wasStoredBefore: true))
        let others = [try Self.frame(sequence: 2, PointRecord(time: 1, metricName: "m", value: 1))]
        #expect(try Self.store(connection, 2, others) == StoredBatch())
        #expect(try Self.count(connection, "metrics.metric_points") == "2")
        #expect(try Self.count(connection, "spillway.batches") == "2")
    }

    @Test(arguments: TestFlavour.allCases)
    func aFrameThatAnotherCollectorHasStoredIsNotStoredAgain(_ flavour: TestFlavour) throws {
        let connection = try Self.connection(flavour)
        let frames = try (1...3).map {
            try Self.frame(sequence: $0, PointRecord(time: 1, metricName: "m\($0)", value: 1))
        }
        #expect(try Self.store(connection, 1, [frames[1]]) == StoredBatch())
        // Another batch has the same frame among others: nothing of it is stored, and the caller is told to ask.
        let error = try databaseError { () throws(DatabaseError) in
            do { _ = try Self.store(connection, 2, frames) } catch let error as DatabaseError { throw error } catch {
                Issue.record(error)
            }
        }
        #expect(error.kind == .framesStoredBefore && error.isTransient && !connection.isInTransaction)
        #expect(try Self.count(connection, "metrics.metric_points") == "1")
        let key = SessionKey(source: 5, session: 6)
        let stored = try SessionLedger(connection).storedFrames(of: [key])
        #expect(stored == [key: SequenceRanges([2..<3])])
        // Without it the rest goes in.
        let outcome = try Self.store(connection, 2, frames, storedBefore: stored)
        #expect(outcome == StoredBatch())
        let names = try connection.query("SELECT metric_name FROM metrics.metric_points ORDER BY 1")
        #expect(names == [["m1"], ["m2"], ["m3"]])
        #expect(try SessionLedger(connection).storedFrames(of: [key]) == [key: SequenceRanges([1..<4])])
    }

    @Test(arguments: TestFlavour.allCases)
    func aMalformedFrameWhoseBatchWasCommittedUnheardBecomesADeadLetterOnce(_ flavour: TestFlavour) throws {
        let connection = try Self.connection(flavour)
        let frames = [
            try Self.frame(sequence: 1, PointRecord(time: 1, metricName: "m", value: 1)),
            try Self.malformedFrame(sequence: 2),
        ]
        // The live attempt refuses the frame; nobody hears of its commit.
        #expect(try Self.store(connection, 1, frames) == StoredBatch())
        #expect(try Self.count(connection, "spillway.dead_letters") == "0")
        // From the spill, where it was acknowledged, it is kept; and once, however often it is replayed.
        for _ in 0..<2 {
            let stored = try Self.store(connection, 1, frames, keepsMalformed: true)
            #expect(stored == StoredBatch(wasStoredBefore: true, deadLetters: [5: 1]))
        }
        #expect(try Self.count(connection, "spillway.dead_letters") == "1")
        #expect(try Self.count(connection, "metrics.metric_points") == "1")
        // A batch that is new keeps it in its own transaction.
        let others = [
            try Self.frame(sequence: 3, PointRecord(time: 1, metricName: "m", value: 1)),
            try Self.malformedFrame(sequence: 4),
        ]
        #expect(try Self.store(connection, 2, others, keepsMalformed: true) == StoredBatch(deadLetters: [5: 1]))
        #expect(try Self.count(connection, "spillway.dead_letters") == "2")
    }

    /// Two collectors have the same frame, and neither sees what the other has not committed.
    @Test(arguments: TestFlavour.allCases)
    func aFrameThatTwoStoreAtTheSameTimeIsStoredOnce(_ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let first = try DatabaseConnection(location)
        try SchemaManager(first).apply(daysAhead: 1)
        for round in 0..<20 {
            let frame = try Self.frame(
                sequence: UInt64(round + 1), PointRecord(time: 1, metricName: "m\(round)", value: 1))
            let refused = Collected()
            let threads = try (0..<4).map { index in
                try NamedThread(name: "store-\(index)") {
                    do {
                        let connection = try DatabaseConnection(location)
                        _ = try Self.store(connection, Int64(round * 4 + index), [frame])
                    } catch let error as DatabaseError where error.kind == .framesStoredBefore {
                        refused.append("refused")
                    } catch {
                        Issue.record(error)
                    }
                }
            }
            for thread in threads { thread.join() }
            #expect(refused.all.count == 3)
        }
        #expect(try Self.count(first, "metrics.metric_points") == "20")
        #expect(try Self.count(first, "spillway.session_frames") == "20")
    }

    @Test func aMalformedFrameThatNobodyWaitsForMayBearAnyNumber() throws {
        let connection = try Self.connection(.plain)
        let good = try Self.frame(sequence: 1, PointRecord(time: 1, metricName: "m", value: 1))
        let bytes = good + (try Self.malformedFrame(sequence: .max))
        let decoded = DecodedBatch()
        let stored = try bytes.span.bytes.withUnsafeBytes { raw in
            decoded.decode(raw, Self.summary(1, [good]))
            return try BatchWriter(connection, fence: Self.fence).store(
                Self.summary(1, [good]), frames: raw, decoded: decoded)
        }
        #expect(stored == StoredBatch())
        #expect(decoded.refused.count == 1)
        #expect(try Self.count(connection, "spillway.session_frames") == "1")
    }

    /// A datagram may bear the number of a frame that came over a stream, in the same batch.
    @Test(arguments: TestFlavour.allCases)
    func aForgedDatagramTakesNothingFromTheFrameWhoseIdentityItHas(_ flavour: TestFlavour) throws {
        let connection = try Self.connection(flavour)
        let key = SessionKey(source: 5, session: 6)
        let frame = try Self.frame(sequence: 1, PointRecord(time: 1, metricName: "stream", value: 1))
        let forged = try Self.frame(sequence: 1, PointRecord(time: 1, metricName: "forged", value: 1))
        let frames = [try Self.malformedFrame(sequence: 1), frame, forged]
        #expect(try Self.store(connection, 1, frames, acknowledged: [false, true, false]) == StoredBatch())
        // The stream's frame is known as stored, so that it is not stored again; the datagram is a row of its own.
        #expect(try SessionLedger(connection).storedFrames(of: [key]) == [key: SequenceRanges([1..<2])])
        let again = try databaseError { () throws(DatabaseError) in
            do { _ = try Self.store(connection, 2, [frame], acknowledged: [true]) } catch let error as DatabaseError {
                throw error
            } catch { Issue.record(error) }
        }
        #expect(again.kind == .framesStoredBefore)
        // And what is known as stored passes over frames of the stream only.
        let known = try SessionLedger(connection).storedFrames(of: [key])
        _ = try Self.store(connection, 3, [frame, forged], storedBefore: known, acknowledged: [true, false])
        let names = try connection.query("SELECT metric_name FROM metrics.metric_points ORDER BY 1")
        #expect(names == [["forged"], ["forged"], ["stream"]])
    }

    @Test(arguments: TestFlavour.allCases)
    func malformedFramesOfTheSpillAreKeptIfAcknowledgedAndByOneStatement(_ flavour: TestFlavour) throws {
        let connection = try Self.connection(flavour)
        try connection.execute(
            """
            CREATE SEQUENCE public.statements;
            CREATE FUNCTION public.count_statement() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN PERFORM nextval(''public.statements''); RETURN NULL; END';
            CREATE TRIGGER count_statement BEFORE INSERT ON spillway.dead_letters
            FOR EACH STATEMENT EXECUTE FUNCTION public.count_statement()
            """)
        let frames = try (1...2_000).map { try Self.malformedFrame(sequence: $0) }
        let acknowledged = (1...2_000).map { $0 % 2 == 0 }
        #expect(
            try Self.store(connection, 1, frames, keepsMalformed: true, acknowledged: acknowledged)
                == StoredBatch(deadLetters: [5: 1_000]))
        #expect(try connection.query("SELECT last_value FROM public.statements") == [["1"]])
        // Replayed again, by one statement as well, which finds them all.
        #expect(
            try Self.store(connection, 1, frames, keepsMalformed: true, acknowledged: acknowledged)
                == StoredBatch(wasStoredBefore: true, deadLetters: [5: 1_000]))
        #expect(try connection.query("SELECT last_value FROM public.statements") == [["2"]])
        #expect(try Self.count(connection, "spillway.dead_letters") == "1000")
        let plan = try connection.query(
            "EXPLAIN SELECT frame FROM spillway.dead_letters WHERE epoch = 3 AND sequence = 1")
        #expect(plan.contains { $0[0]?.contains("dead_letters_batch_idx") == true }, "\(plan)")
    }

    @Test(arguments: TestFlavour.allCases)
    func aRowThatTheServerRefusesIsSetAsideAndItsNeighboursAreStored(_ flavour: TestFlavour) throws {
        let connection = try Self.connection(flavour)
        try connection.execute("ALTER TABLE metrics.metric_points ADD CHECK (metric_name <> 'poison')")
        let frames = [
            try Self.frame(
                sequence: 1, PointRecord(time: 1, metricName: "a", value: 1),
                PointRecord(time: 2, metricName: "poison", value: 2), PointRecord(time: 3, metricName: "b", value: 3))
        ]
        #expect(try Self.store(connection, 1, frames) == StoredBatch(deadLetters: [5: 1]))
        #expect(try Self.count(connection, "metrics.metric_points") == "2")
        let letter = try connection.query("SELECT kind, sqlstate, reason, source FROM spillway.dead_letters")[0]
        #expect(letter[0] == "point" && letter[1] == "23514" && letter[3] == "5")
        // What an earlier attempt set aside is told again.
        #expect(try Self.store(connection, 1, frames) == StoredBatch(wasStoredBefore: true, deadLetters: [5: 1]))
    }
}
