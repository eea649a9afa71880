// The clients of a collector that is gone send to another one what they had no acknowledgement for, while its spill is stored
// by hand: each record once, whoever is first.

import Foundation
import FrameCodec
import SpillwayClient
import TestSupport
import Testing
import TimescaleStore

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
        ])
        try Self.send(51...100, to: second)
        #expect(try connection.query("SELECT count(*) FROM metrics.metric_points") == [["50"]])
        let replay = try Programs.run([
            "spill", "replay", "--spill-directory", folder, "--database", TestServers.url(location), "--json",
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
}
