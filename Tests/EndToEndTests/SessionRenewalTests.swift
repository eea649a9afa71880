// A real collector that cannot remember a session's gaps: the client goes on in new sessions, and what it has acknowledged is stored
// once.

import Foundation
import SpillwayClient
import TestSupport
import Testing
import TimescaleStore

@Suite(.serialized, .timeLimit(.minutes(5))) struct SessionRenewalTests {
    /// The gaps of a session that a collector remembers.
    private static let gapsMax = UInt64(FrameLimits.rangesMax)

    @Test func aSessionWithTooManyGapsIsFollowedByANewOne() throws {
        let location = try TestServers.database(.plain)
        let collector = try CollectorProcess([
            "--database", TestServers.url(location), "--spill-directory", "none", "--flush-interval", "20",
        ])
        let identity = SourceIdentity(name: "gaps", session: 7)
        var sender = AcknowledgedSender(
            to: try CollectorAddress("tcp://" + collector.address("tcp")), identity: identity,
            timeoutMilliseconds: 30_000)
        // Every second number: each frame is a range of its own.
        let count = 3 * Self.gapsMax
        for index in 0..<count {
            let sequence = 2 * index + 1
            var encoder = FrameEncoder()
            #expect(try encoder.append(PointRecord(time: Int64(sequence), metricName: "n\(sequence)", value: 1)))
            let encoded = encoder.finish(identity.frame(sequence: sequence)) { frame in
                frame.withUnsafeBytes { Array($0) }
            }
            let bytes = try #require(encoded)
            try sender.send(bytes.span.bytes, sequence: sequence, recordCount: 1)
            // Some frames at a time, so that a refusal comes before all of them are written.
            if index.isMultiple(of: 16) { try sender.progress(waitMilliseconds: 2) }
        }
        sender.sendHeartbeat()
        try sender.waitUntilAcknowledged()
        let statistics = sender.statistics
        print("sessions renewed \(statistics.sessionsRenewed), frames refused \(statistics.framesRefused) of \(count)")
        #expect(statistics.sessionsRenewed >= 2)
        #expect(statistics.framesRefused < count / 4, "\(statistics)")
        #expect(statistics.framesAcknowledged + statistics.framesRefused == count)
        _ = try sender.finish()
        let stats = try collector.waitForStats { $0.unaccounted == 0 }
        #expect(stats.frames_refused["sequence_refused"] == Int(statistics.framesRefused))
        #expect(collector.stop() == 0, "\(collector.logText)")
        let rows = try DatabaseConnection(location).query(
            "SELECT count(*), count(DISTINCT metric_name) FROM metrics.metric_points")
        #expect(rows == [["\(statistics.recordsAcknowledged)", "\(statistics.recordsAcknowledged)"]])
    }
}
