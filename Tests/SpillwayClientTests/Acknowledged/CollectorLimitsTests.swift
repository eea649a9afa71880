// A collector whose limits are smaller than frames that have a number already gets the others, and none that it would refuse.

import Glibc
import Testing

@testable import SpillwayClient

@Suite(.timeLimit(.minutes(1))) struct CollectorLimitsTests {
    private let identity = SourceIdentity(name: "test", session: 42)

    private func frame(_ sequence: UInt64, records: Int = 1, textBytes: Int = 10) throws -> [UInt8] {
        var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        for record in 0..<records {
            let text = String(repeating: "x", count: textBytes)
            #expect(try encoder.append(PointRecord(time: Int64(record), value: Double(sequence), valueText: text)))
        }
        return encoder.finish(identity.frame(sequence: sequence)) { frame in frame.withUnsafeBytes { Array($0) } } ?? []
    }

    /// Acknowledges what comes, after a welcome with these limits.
    private static func peer(frameBytesMax: UInt64, recordsPerFrameMax: UInt64) throws -> ScriptedPeer {
        try ScriptedPeer { connection, _ in
            var taken: [UInt64] = []
            while let (header, bytes) = connection.nextFrame() {
                if header.type == .heartbeat, taken.isEmpty {
                    connection.send(
                        WelcomeFrame(
                            frameBytesMax: frameBytesMax, recordsPerFrameMax: recordsPerFrameMax,
                            durable: SequenceRanges()))
                }
                guard header.type == .records else { continue }
                taken.append(header.identity.sequence)
                #expect(bytes.count <= frameBytesMax && header.recordCount <= recordsPerFrameMax)
                let sequence = header.identity.sequence
                connection.send(AcknowledgementFrame(durable: SequenceRanges([sequence..<sequence + 1])))
            }
            return .init(taken: taken, isCut: false)
        }
    }

    @Test func numberedFramesOverTheLimitsAreCountedAsRefusedAndNeverWritten() throws {
        let peer = try Self.peer(frameBytesMax: 2_000, recordsPerFrameMax: 10)
        var sender = AcknowledgedSender(to: peer.address, identity: identity, timeoutMilliseconds: 20_000)
        let frames = [
            try frame(1), try frame(2, textBytes: 3_000), try frame(3, records: 10), try frame(4, records: 11),
            try frame(5),
        ]
        for (index, bytes) in frames.enumerated() {
            let records = try FrameHeader.read(bytes.span.bytes).recordCount
            try sender.send(bytes.span.bytes, sequence: UInt64(index + 1), recordCount: records)
        }
        try sender.waitUntilAcknowledged()
        // One that is given when the limits are known.
        let late = try frame(6, textBytes: 3_000)
        try sender.send(late.span.bytes, sequence: 6, recordCount: 1)
        let last = try frame(7)
        try sender.send(last.span.bytes, sequence: 7, recordCount: 1)
        try sender.waitUntilAcknowledged()
        let statistics = sender.statistics
        let refusals = sender.refusals
        _ = try sender.finish(withinMilliseconds: 200)
        #expect(peer.finish() == [[1, 3, 5, 7]])
        #expect(statistics.framesRefused == 3 && statistics.recordsRefused == 13)
        #expect(statistics.framesAcknowledged == 4 && statistics.frames == 7)
        #expect(statistics.reconnects == 0)
        #expect(refusals.map(\.sequence) == [2, 4, 6])
        #expect(refusals.map(\.refusal.reasonCode) == [7, 12, 7])
    }

    @Test func aClientMakesSmallerFramesOnceItKnows() throws {
        let peer = try Self.peer(frameBytesMax: 2_000, recordsPerFrameMax: 100)
        let client = try MetricsClient(
            to: peer.address, identity: identity,
            options: MetricsClientOptions(flushIntervalSeconds: 0.01, closeTimeoutSeconds: 20))
        client.record(PointRecord(time: 1, value: 0))
        client.flush()
        while client.statistics.recordsSent == 0 { usleep(1_000) }
        // The frame that the encoder has begun may be of the old size.
        client.record(PointRecord(time: 1, value: 0))
        client.flush()
        let text = String(repeating: "x", count: 1_000)
        for value in 1...500 {
            client.record(PointRecord(time: 1, value: Double(value), valueText: "\(value) \(text)"))
        }
        client.close()
        let statistics = client.statistics
        _ = peer.finish()
        #expect(statistics.recordsSent == 502, "\(statistics)")
        #expect(statistics.recordsRefused == 0 && statistics.recordsDropped == 0)
    }
}
