// A client whose frames must arrive, before a peer that acknowledges, cuts and says strange things as the test wants it.

import Testing

@testable import SpillwayClient

struct AcknowledgedSenderTests {
    private let identity = SourceIdentity(name: "test", session: 42)

    /// A frame of this session with a record in it.
    private func frame(_ sequence: UInt64) -> [UInt8] {
        var encoder = FrameEncoder()
        do throws(RecordError) {
            _ = try encoder.append(PointRecord(time: 1, metricName: "m", value: Double(sequence)))
        } catch {
            Issue.record("\(error)")
        }
        return encoder.finish(identity.frame(sequence: sequence)) { frame in frame.withUnsafeBytes { Array($0) } } ?? []
    }

    @Test func whatIsAcknowledgedIsNotSentAgainOverTheNextConnection() throws {
        let peer = try ScriptedPeer { connection, number in
            connection.welcome(number == 0 ? [] : [1..<3])
            // The first connection takes four frames, acknowledges two, and breaks.
            let taken = connection.takeFrames(number == 0 ? 4 : 2)
            connection.send(AcknowledgementFrame(durable: SequenceRanges(number == 0 ? [1..<3] : [3..<5])))
            if number == 0 { return .init(taken: taken, isCut: true) }
            connection.drain()
            return .init(taken: taken, isCut: false)
        }
        var sender = AcknowledgedSender(to: peer.address, identity: identity, timeoutMilliseconds: 20_000)
        for sequence in 1...4 as ClosedRange<UInt64> {
            try sender.send(frame(sequence).span.bytes, sequence: sequence, recordCount: 1)
        }
        try sender.waitUntilAcknowledged()
        let statistics = sender.statistics
        #expect(statistics.recordsAcknowledged == 4)
        #expect(statistics.reconnects == 1)
        #expect(statistics.framesResent == 2)
        let open = sender.framesOpen
        #expect(open == 0)
        _ = try sender.finish()
        #expect(peer.finish() == [[1, 2, 3, 4], [3, 4]])
    }

    @Test func refusedFramesAreReportedAndUnknownRepliesPassedOver() throws {
        let identity = identity
        let peer = try ScriptedPeer { connection, _ in
            connection.welcome([])
            let taken = connection.takeFrames(2)
            connection.sendUnknownType()
            connection.send(
                RefusalFrame(reasonCode: 99, offset: 7, text: "not today").encoded(identity.frame(sequence: 1)))
            connection.send(AcknowledgementFrame(durable: SequenceRanges([2..<3])))
            connection.drain()
            return .init(taken: taken, isCut: false)
        }
        var sender = AcknowledgedSender(to: peer.address, identity: identity, timeoutMilliseconds: 20_000)
        for sequence in 1...2 as ClosedRange<UInt64> {
            try sender.send(frame(sequence).span.bytes, sequence: sequence, recordCount: 1)
        }
        try sender.waitUntilAcknowledged()
        let refusals = sender.refusals
        #expect(refusals.map(\.sequence) == [1])
        #expect(refusals.first?.refusal.text == "not today")
        let statistics = sender.statistics
        #expect(statistics.framesAcknowledged == 1 && statistics.framesRefused == 1)
        _ = try sender.finish()
        #expect(peer.finish() == [[1, 2]])
    }

    @Test func withoutAnAcknowledgementItEndsWithAnErrorAndForgetsNothing() throws {
        let peer = try ScriptedPeer { connection, _ in
            connection.welcome([])
            let taken = connection.takeFrames(1)
            connection.drain()
            return .init(taken: taken, isCut: false)
        }
        do {
            var sender = AcknowledgedSender(to: peer.address, identity: identity, timeoutMilliseconds: 700)
            try sender.send(frame(1).span.bytes, sequence: 1, recordCount: 1)
            var failure: ClientError?
            do throws(ClientError) { try sender.waitUntilAcknowledged() } catch { failure = error }
            #expect(failure != nil)
            let open = sender.framesOpen
            #expect(open == 1)
        }
        #expect(peer.finish() == [[1]])
    }
}
