// A real collector and sessions at their limits: thousands of gaps are stored whole, and a session whose numbers have ended goes on
// in a new one.

import Foundation
import FrameCodec
import Postgres
import SpillwayClient
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct SessionRenewalTests {
    /// The ranges of a session that a collector remembers.
    private static let rangesMax = UInt64(FrameLimits.rangesMax)

    private let location: DatabaseLocation
    private let collector: CollectorProcess
    private let identity = SourceIdentity(name: "limits", session: 7)

    init() throws {
        location = try TestServers.database(.plain)
        collector = try CollectorProcess([
            "--database", TestServers.url(location), "--spill-directory", "none", "--flush-interval", "20",
            "--accept-past", "off",
        ])
    }

    /// Sends frames of one record, some at a time, so that a refusal comes before all of them are written.
    private func send(
        _ sequences: some Sequence<UInt64>, waits: Bool = true
    ) throws -> AcknowledgementStatistics {
        var sender = AcknowledgedSender(
            to: try CollectorAddress("tcp://" + collector.address("tcp")), identity: identity,
            timeoutMilliseconds: 30_000)
        for (index, sequence) in sequences.enumerated() {
            var encoder = FrameEncoder()
            #expect(try encoder.append(PointRecord(time: Int64(index), metricName: "n\(sequence)", value: 1)))
            let encoded = encoder.finish(identity.frame(sequence: sequence)) { frame in
                frame.withUnsafeBytes { Array($0) }
            }
            let bytes = try #require(encoded)
            try sender.send(bytes.span.bytes, sequence: sequence, recordCount: 1)
            if index.isMultiple(of: 16) { try sender.progress(waitMilliseconds: 2) }
        }
        sender.sendHeartbeat()
        guard waits else { return sender.statistics }
        try sender.waitUntilAcknowledged()
        let statistics = sender.statistics
        _ = try sender.finish()
        return statistics
    }

    private func checkRows(_ statistics: AcknowledgementStatistics) throws {
        let stats = try collector.waitForStats { $0.unaccounted == 0 }
        #expect(stats.frames_refused["sequence_refused"] ?? 0 == Int(statistics.framesRefused))
        #expect(collector.stop() == 0, "\(collector.logText)")
        let rows = try DatabaseConnection(location).query(
            "SELECT count(*), count(DISTINCT metric_name) FROM metrics.metric_points")
        #expect(rows == [["\(statistics.recordsAcknowledged)", "\(statistics.recordsAcknowledged)"]])
    }

    @Test func aSessionWithThousandsOfGapsIsStoredWhole() throws {
        // Every second number: each frame is a range of its own.
        let count = 5 * Self.rangesMax
        let statistics = try send((0..<count).map { 2 * $0 + 1 })
        #expect(statistics.framesAcknowledged == count && statistics.framesRefused == 0)
        #expect(statistics.sessionsRenewed == 0)
        try checkRows(statistics)
    }

    /// The collector has stored frames whose acknowledgements were lost, more ranges of them than it remembers: the client sends
    /// them again and hears of each.
    @Test func framesBetweenThousandsOfGapsWhoseAcknowledgementsWereLostAreAcknowledged() throws {
        let sequences = (0..<5_000 as Range<UInt64>).map { 2 * $0 + 1 }
        for _ in 0..<3 { _ = try send(sequences, waits: false) }
        let statistics = try send(sequences)
        #expect(statistics.framesAcknowledged == 5_000 && statistics.framesRefused == 0)
        let stats = try collector.waitForStats { $0.unaccounted == 0 }
        #expect(stats["records_committed"] == 5_000)
        try checkRows(statistics)
    }

    @Test func aSessionWhoseNumbersHaveEndedGoesOnInANewOne() throws {
        let last = UInt64(Int64.max) - 1
        let count: UInt64 = 3_000
        let statistics = try send(last - 100..<last - 100 + count)
        print("sessions renewed \(statistics.sessionsRenewed), frames refused \(statistics.framesRefused) of \(count)")
        #expect(statistics.sessionsRenewed == 1)
        #expect(statistics.framesRefused > 0 && statistics.framesRefused < count / 4, "\(statistics)")
        #expect(statistics.framesAcknowledged + statistics.framesRefused == count)
        try checkRows(statistics)
    }
}
