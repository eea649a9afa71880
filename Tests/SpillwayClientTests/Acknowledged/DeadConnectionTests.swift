// A connection that no longer carries bytes is replaced; one whose collector is alive is kept, however long it acknowledges nothing.

import Glibc
import LinuxSystem
import Testing

@testable import SpillwayClient

@Suite(.timeLimit(.minutes(2))) struct DeadConnectionTests {
    private static let heartbeatMilliseconds = 150

    private let options = MetricsClientOptions(flushIntervalSeconds: 0.01, closeTimeoutSeconds: 5)

    private func client(port: UInt16) throws -> MetricsClient {
        try MetricsClient(
            to: CollectorAddress(transport: .tcp, host: "127.0.0.1", port: port),
            identity: SourceIdentity(name: "test"), options: options,
            heartbeatMilliseconds: Self.heartbeatMilliseconds, resolver: HostAddress.all)
    }

    private func record(_ values: Range<Int>, to client: MetricsClient) {
        for value in values { client.record(PointRecord(time: 1, metricName: "m", value: Double(value))) }
    }

    @Test(arguments: [Relay.Mode.swallow, .freeze])
    func aConnectionThatNoLongerCarriesBytesIsReplaced(mode: Relay.Mode) throws {
        let collector = try MemoryCollector()
        let relay = try Relay(to: collector.port)
        let client = try client(port: relay.port)
        record(0..<60, to: client)
        #expect(eventually { client.statistics.recordsSent == 60 })
        relay.set(mode)
        record(60..<500, to: client)
        // The connections of the meantime do not work either.
        let hasReconnected = eventually(withinMilliseconds: 10_000) { relay.accepted >= 3 }
        #expect(hasReconnected)
        #expect(client.statistics.recordsWaiting == 440)
        #expect(client.statistics.lastError != nil)
        relay.set(.forward)
        if hasReconnected { client.close() }
        #expect(client.statistics.recordsSent == 500, "\(client.statistics)")
        relay.stop()
        #expect(collector.stop().values.sorted() == (0..<500).map(Double.init))
    }

    /// As one does whose spill is full.
    @Test func aCollectorThatAcknowledgesNothingAndAnswersHeartbeatsKeepsItsConnection() throws {
        let collector = try MemoryCollector(.init(acknowledges: { _ in false }))
        let client = try client(port: collector.port)
        record(0..<100, to: client)
        usleep(2_000_000)
        let log = collector.log
        #expect(log.connections == 1)
        #expect(log.heartbeats > 5)
        #expect(client.statistics.lastError == nil)
        #expect(client.statistics.recordsWaiting == 100)
        _ = collector.stop()
        client.close()
    }

    /// Its silence proves nothing.
    @Test func aCollectorThatDoesNotAnswerHeartbeatsKeepsItsConnection() throws {
        let collector = try MemoryCollector(.init(answersHeartbeats: false, acknowledges: { _ in false }))
        let client = try client(port: collector.port)
        record(0..<100, to: client)
        usleep(2_000_000)
        #expect(collector.log.connections == 1)
        #expect(client.statistics.lastError == nil)
        _ = collector.stop()
        client.close()
    }

    @Test func theKernelChecksAConnectionOnWhichNothingIsOnItsWay() throws {
        let collector = try MemoryCollector()
        let socket = try Socket.connected(to: collector.address, timeoutMilliseconds: 5_000)
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        #expect(getsockopt(socket.descriptor, SOL_SOCKET, SO_KEEPALIVE, &value, &length) == 0 && value == 1)
        #expect(getsockopt(socket.descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, &value, &length) == 0 && value == 15)
        _ = collector.stop()
    }
}
