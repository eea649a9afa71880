// `close` keeps its deadline whatever name servers and the network do, and its totals add up at any moment.

import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import SpillwayClient

@Suite(.serialized, .timeLimit(.minutes(2))) struct CloseDeadlineTests {
    private static let closeSeconds = 0.3
    /// The contract is 250 ms; a machine that runs other tests at the same time gets more.
    private static let slackSeconds = 2.0

    private let options = MetricsClientOptions(flushIntervalSeconds: 0.02, closeTimeoutSeconds: closeSeconds)

    /// - Returns: how long `close` took.
    private func close(_ client: MetricsClient) -> Double {
        let start = monotonicNanoseconds()
        client.close()
        return Double(monotonicNanoseconds() - start) / 1e9
    }

    private func record(_ count: Int, to client: MetricsClient) {
        for number in 0..<count { client.record(PointRecord(time: 1, metricName: "m", value: Double(number))) }
    }

    /// recorded = sent + dropped + refused + waiting.
    private func expectSum(_ totals: MetricsClientStatistics, sourceLocation: SourceLocation = #_sourceLocation) {
        let sum = totals.recordsSent + totals.recordsDropped + totals.recordsRefused + totals.recordsWaiting
        #expect(totals.recordsRecorded == sum, "\(totals)", sourceLocation: sourceLocation)
    }

    private func expectAllDropped(_ client: MetricsClient, _ count: UInt64) {
        let totals = client.statistics
        expectSum(totals)
        #expect(totals.recordsDropped == count, "\(totals)")
        #expect(totals.recordsWaiting == 0, "\(totals)")
    }

    @Test func aConnectionThatIsNotAnsweredDoesNotKeepCloseFromItsDeadline() throws {
        let full = try FullListener()
        let client = try MetricsClient(to: "tcp://127.0.0.1:\(full.port)", source: "test", options: options)
        record(100, to: client)
        usleep(200_000)
        let seconds = close(client)
        print("close took \(seconds) s")
        #expect(seconds < Self.closeSeconds + Self.slackSeconds)
        expectAllDropped(client, 100)
    }

    @Test func manyAddressesThatDoNotAnswerDoNotEither() throws {
        let first = try FullListener(lastByte: 1)
        let others = try (2...4).map { try FullListener(lastByte: $0, port: first.port) }
        let client = try MetricsClient(
            to: CollectorAddress(transport: .tcp, host: "collector.test", port: first.port),
            identity: SourceIdentity(name: "test"), options: options
        ) { (address) throws(ClientError) in try Self.addresses([1, 2, 3, 4], port: address.port) }
        record(100, to: client)
        usleep(200_000)
        let seconds = close(client)
        print("close took \(seconds) s")
        #expect(seconds < Self.closeSeconds + Self.slackSeconds)
        expectAllDropped(client, 100)
        _ = others
    }

    /// Numeric addresses 127.0.0.x, as a name with several of them would give.
    private static func addresses(_ lastBytes: [Int], port: UInt16) throws(ClientError) -> [HostAddress] {
        var all: [HostAddress] = []
        for byte in lastBytes {
            all += try HostAddress.all(of: CollectorAddress(transport: .tcp, host: "127.0.0.\(byte)", port: port))
        }
        return all
    }

    @Test func aNameServerThatDoesNotAnswerDoesNotKeepCloseFromItsDeadline() throws {
        let release = try WakeEvent()
        let calls = Atomic(0)
        let client = try MetricsClient(
            to: CollectorAddress("tcp://collector.test:1"), identity: SourceIdentity(name: "test"), options: options
        ) { (address) throws(ClientError) in
            // The first call is the check at the client's start.
            if calls.wrappingAdd(1, ordering: .relaxed).newValue > 1 { release.wait(timeoutMilliseconds: 30_000) }
            return try Self.addresses([1], port: address.port)
        }
        record(100, to: client)
        usleep(200_000)
        let seconds = close(client)
        print("close took \(seconds) s")
        #expect(seconds < Self.closeSeconds + Self.slackSeconds)
        expectAllDropped(client, 100)
        // The call is one, however long it takes, and its late end changes nothing.
        #expect(calls.load(ordering: .relaxed) == 2)
        release.signal()
        usleep(50_000)
        expectAllDropped(client, 100)
    }

    @Test func anAddressThatDoesNotAnswerLeavesTimeForTheNextOne() throws {
        let full = try FullListener(lastByte: 2)
        let peer = try ScriptedPeer(port: full.port) { connection, _ in
            connection.welcome([])
            let taken = connection.takeFrames(1)
            connection.send(AcknowledgementFrame(durable: SequenceRanges([1..<2])))
            connection.drain()
            return .init(taken: taken, isCut: false)
        }
        let client = try MetricsClient(
            to: CollectorAddress(transport: .tcp, host: "collector.test", port: full.port),
            identity: SourceIdentity(name: "test", session: 42),
            options: MetricsClientOptions(flushIntervalSeconds: 0.02, closeTimeoutSeconds: 20)
        ) { (address) throws(ClientError) in try Self.addresses([2, 1], port: address.port) }
        record(10, to: client)
        client.close()
        #expect(client.statistics.recordsSent == 10, "\(client.statistics)")
        #expect(peer.finish() == [[1]])
    }

    /// The acknowledgement of the last frame comes a little before, at or after the deadline.
    @Test func anAcknowledgementAtTheDeadlineCountsOnce() throws {
        var sent = 0
        var dropped = 0
        for round in 0..<24 {
            let delay = UInt32(30_000 + round * 2_000)
            let peer = try ScriptedPeer { connection, _ in
                connection.welcome([])
                let taken = connection.takeFrames(1)
                usleep(delay)
                connection.send(AcknowledgementFrame(durable: SequenceRanges([1..<2])))
                connection.drain()
                return .init(taken: taken, isCut: false)
            }
            let client = try MetricsClient(
                to: peer.address, identity: SourceIdentity(name: "test", session: 42),
                options: MetricsClientOptions(closeTimeoutSeconds: 0.05))
            record(7, to: client)
            client.close()
            let totals = client.statistics
            expectSum(totals)
            #expect(totals.recordsWaiting == 0 && totals.recordsRefused == 0)
            #expect(totals.recordsSent == 7 || totals.recordsDropped == 7, "\(totals)")
            sent += totals.recordsSent == 7 ? 1 : 0
            dropped += totals.recordsDropped == 7 ? 1 : 0
            _ = peer.finish()
            #expect(client.statistics == totals)
        }
        print("acknowledged in time \(sent), too late \(dropped)")
    }

    @Test func totalsAddUpWhileFramesAreOnTheirWay() throws {
        let peer = try ScriptedPeer { connection, _ in
            connection.welcome([])
            var all: [UInt64] = []
            while true {
                let taken = connection.takeFrames(1)
                guard let first = taken.first, let last = taken.last else { break }
                connection.send(AcknowledgementFrame(durable: SequenceRanges([first..<last + 1])))
                all += taken
            }
            return .init(taken: all, isCut: false)
        }
        let client = try MetricsClient(
            to: peer.address, identity: SourceIdentity(name: "test", session: 42),
            options: MetricsClientOptions(bufferRecordsMax: 5, flushIntervalSeconds: 0.01, closeTimeoutSeconds: 20))
        for _ in 0..<2_000 {
            record(7, to: client)
            expectSum(client.statistics)
        }
        client.close()
        expectSum(client.statistics)
        #expect(client.statistics.recordsSent == 14_000)
        _ = peer.finish()
    }
}
