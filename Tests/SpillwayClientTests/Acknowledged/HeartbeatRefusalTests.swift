// A heartbeat that is refused takes no record frame with it.

import Synchronization
import Testing

@testable import SpillwayClient

@Suite(.timeLimit(.minutes(1))) struct HeartbeatRefusalTests {
    private let identity = SourceIdentity(name: "test", session: 42)
    private static let trailingBytes: UInt64 = 28

    private final class Arrived: Sendable {
        let frames = Atomic(0)
    }

    private func frame(_ sequence: UInt64) throws -> [UInt8] {
        var encoder = FrameEncoder()
        #expect(try encoder.append(PointRecord(time: 1, value: Double(sequence))))
        return encoder.finish(identity.frame(sequence: sequence)) { frame in frame.withUnsafeBytes { Array($0) } } ?? []
    }

    /// Sends two frames and then a heartbeat, whose header names the second one, to a peer that goes on from there.
    private func deliver(
        _ afterHeartbeat: @escaping @Sendable (ScriptedPeer.Connection, FrameIdentity) -> [UInt64]
    ) throws -> (statistics: AcknowledgementStatistics, taken: [UInt64]) {
        let arrived = Arrived()
        let peer = try ScriptedPeer { connection, _ in
            connection.welcome([])
            var taken: [UInt64] = []
            while let (header, _) = connection.nextFrame() {
                if header.type == .records {
                    taken.append(header.identity.sequence)
                    arrived.frames.store(taken.count, ordering: .relaxed)
                }
                if header.type == .heartbeat, header.identity.sequence == 2 {
                    taken += afterHeartbeat(connection, header.identity)
                    break
                }
            }
            connection.drain()
            return .init(taken: taken, isCut: false)
        }
        var sender = AcknowledgedSender(to: peer.address, identity: identity, timeoutMilliseconds: 20_000)
        for sequence in 1...2 as ClosedRange<UInt64> {
            let bytes = try frame(sequence)
            try sender.send(bytes.span.bytes, sequence: sequence, recordCount: 1)
        }
        // The first heartbeat goes with the connection, before the frames.
        while arrived.frames.load(ordering: .relaxed) < 2 { try sender.progress(waitMilliseconds: 5) }
        sender.sendHeartbeat()
        try sender.waitUntilAcknowledged()
        let statistics = sender.statistics
        _ = try sender.finish(withinMilliseconds: 100)
        return (statistics, peer.finish().first ?? [])
    }

    private static func acknowledge(_ connection: ScriptedPeer.Connection, _ sequences: Range<UInt64>) {
        connection.send(AcknowledgementFrame(durable: SequenceRanges([sequences])))
    }

    @Test func aRefusalWithoutASequenceConcernsNoFrame() throws {
        let (statistics, taken) = try deliver { connection, _ in
            connection.send(RefusalFrame(reasonCode: Self.trailingBytes, offset: 60, text: "trailing_bytes"))
            Self.acknowledge(connection, 1..<3)
            return []
        }
        #expect(statistics.framesAcknowledged == 2 && statistics.framesRefused == 0)
        #expect(taken == [1, 2])
    }

    @Test func anEarlierCollectorsRefusalOfAHeartbeatIsNotTakenForThatOfTheFrameItNames() throws {
        let (statistics, taken) = try deliver { connection, heartbeat in
            connection.send(
                RefusalFrame(reasonCode: Self.trailingBytes, offset: 60, text: "trailing_bytes"), heartbeat)
            // The frame comes again, since its refusal cannot be told from the heartbeat's; it is recognised and acknowledged.
            let again = connection.takeFrames(2)
            Self.acknowledge(connection, 1..<3)
            return again
        }
        #expect(statistics.framesAcknowledged == 2 && statistics.framesRefused == 0)
        #expect(taken == [1, 2, 1, 2])
    }

    @Test func aFrameThatIsRefusedItselfIsRefusedAgainWhenItComesAgain() throws {
        let (statistics, taken) = try deliver { connection, heartbeat in
            let refusal = RefusalFrame(reasonCode: 32, offset: 60, text: "dangling_index")
            connection.send(refusal, heartbeat)
            let again = connection.takeFrames(2)
            connection.send(refusal, heartbeat)
            Self.acknowledge(connection, 1..<2)
            return again
        }
        #expect(statistics.framesAcknowledged == 1 && statistics.framesRefused == 1)
        #expect(taken == [1, 2, 1, 2])
    }
}
