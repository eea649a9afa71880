// The clients of a collector that is gone send to another one what they had no acknowledgement for, while its spill is stored
// by hand: each record once, whoever is first.

import Foundation
import FrameCodec
import Postgres
import SpillwayClient
import StoreSchema
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct TwoCollectorsTests {
    private static let identity = SourceIdentity(name: "two", session: 4_711)

    /// Sends frames of one record each, numbered as said, and waits until all are acknowledged.
    private static func send(_ sequences: ClosedRange<UInt64>, to collector: CollectorProcess) throws {
        var sender = AcknowledgedSender(
            to: try CollectorAddress("tcp://" + collector.address("tcp")), identity: identity,
            timeoutMilliseconds: 20_000)
        for sequence in sequences {
            var encoder = FrameEncoder()
            #expect(try encoder.append(PointRecord(time: Int64(sequence), metricName: "n\(sequence)", value: 1)))
            let identity = FrameIdentity(source: Self.identity.source, session: 4_711, sequence: sequence)
            let bytes = try #require(encoder.finish(identity) { frame in frame.withUnsafeBytes { Array($0) } })
            try sender.send(bytes.span.bytes, sequence: sequence, recordCount: 1)
        }
        try sender.waitUntilAcknowledged()
    }

    @Test func aFrameInTheSpillOfOneAndSentToTheOtherIsStoredOnce() throws {
        let location = try TestServers.database(.timescale)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        // The first one has no database, so that all it takes is in its spill; then it is gone.
        let folder = try Programs.temporaryFolder("spill")
        let first = try CollectorProcess([
            "--database", "postgresql://postgres@127.0.0.1:1/none", "--spill-directory", folder, "--flush-interval",
            "20",
        ])
        try Self.send(1...300, to: first)
        #expect(first.stop(SIGKILL) != 0)

        // The second one knows the session, and that the database has nothing of it, before the spill is stored.
        let second = try CollectorProcess([
            "--database", TestServers.url(location), "--flush-interval", "20", "--spill-directory", "none",
            "--accept-past", "off",
        ])
        try Self.send(51...100, to: second)
        #expect(try connection.query("SELECT count(*) FROM metrics.metric_points") == [["50"]])
        let replay = try Programs.run([
            "spill", "replay", "--spill-directory", folder, "--database", TestServers.url(location), "--json",
            "--accept-past", "off",
        ])
        #expect(replay.status == 0, "\(replay.errors)")
        let object = try #require(try JSONSerialization.jsonObject(with: replay.output) as? [String: Any])
        #expect(object["records_stored"] as? Int == 250, "\(replay.text)")
        #expect(object["records_stored_before"] as? Int == 50, "\(replay.text)")
        // And what comes to the second one afterwards, of which it was told nothing.
        try Self.send(201...400, to: second)
        let stats = try second.stats()
        #expect(stats.unaccounted == 0)
        #expect(second.stop() == 0, "\(second.logText)")
        let rows = try connection.query(
            "SELECT count(*), count(DISTINCT metric_name), max(time) FROM metrics.metric_points")
        #expect(rows == [["400", "400", "1970-01-01 00:00:00.0004+00"]])
    }

    /// A client that connects to another collector each time, as behind a load balancer: what one has stored is a gap for the
    /// other. Collectors are killed in between, and frames are sent again that had an acknowledgement.
    @Test(.timeLimit(.minutes(30))) func aSessionThatMovesThousandsOfTimesIsStoredOnceAndNeverRefused() throws {
        let moves = Torture.count(200, 5_000)
        let killEvery = Torture.count(40, 250)
        let location = try TestServers.database(.plain)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        var generator = Torture.generator("session moves")
        let arguments = try (0..<2).map { _ in
            [
                "--database", TestServers.url(location), "--flush-interval", "5", "--accept-past", "off",
                "--spill-directory", try Programs.temporaryFolder("spill"),
            ]
        }
        var collectors = try arguments.map { try CollectorProcess($0) }
        var last: UInt64 = 0
        var refused: UInt64 = 0
        var kills = 0
        for move in 1...moves {
            let number = move % 2
            let first = max(1, last - UInt64.random(in: 0...min(last, 2), using: &generator))
            let end = last + UInt64.random(in: 1...3, using: &generator)
            var sender = AcknowledgedSender(
                to: try CollectorAddress("tcp://" + collectors[number].address("tcp")), identity: Self.identity,
                timeoutMilliseconds: 20_000)
            for sequence in first...end {
                var encoder = FrameEncoder()
                #expect(try encoder.append(PointRecord(time: Int64(sequence), metricName: "n\(sequence)", value: 1)))
                let identity = FrameIdentity(source: Self.identity.source, session: 4_711, sequence: sequence)
                let bytes = try #require(encoder.finish(identity) { frame in frame.withUnsafeBytes { Array($0) } })
                try sender.send(bytes.span.bytes, sequence: sequence, recordCount: 1)
            }
            if move % killEvery == 0 {
                // With the frames on their way; the other collector gets them again.
                try sender.progress(waitMilliseconds: Int.random(in: 0...20, using: &generator))
                #expect(collectors[number].stop(SIGKILL) != 0)
                collectors[number] = try CollectorProcess(arguments[number])
                kills += 1
            } else {
                try sender.waitUntilAcknowledged()
                refused += sender.statistics.framesRefused
                last = end
            }
        }
        try Self.send(1...last, to: collectors[0])
        for collector in collectors {
            let stats = try collector.waitForStats(seconds: 60) { $0.unaccounted == 0 && $0["records_in_spill"] == 0 }
            #expect(stats["records_dead_lettered"] == 0)
            #expect(collector.stop() == 0, "\(collector.logText)")
        }
        let rows = try connection.query("SELECT count(*), count(DISTINCT metric_name) FROM metrics.metric_points")
        let ranges = try connection.query("SELECT sum(behind - first) FROM spillway.session_frames")
        print("\(moves) moves, \(kills) kills, \(last) frames, \(refused) refused, rows \(rows[0])")
        #expect(refused == 0)
        let stored = try #require(rows[0][0].flatMap { UInt64($0) })
        #expect(rows[0][0] == rows[0][1] && stored >= last && ranges == [[rows[0][0]]])
    }
}
