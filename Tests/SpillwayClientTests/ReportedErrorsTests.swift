// What a client reports of its losses: each one has a reason, and what went well has none.

import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import SpillwayClient

@Suite(.timeLimit(.minutes(2))) struct ReportedErrorsTests {
    private func client(
        _ address: CollectorAddress, _ options: MetricsClientOptions = MetricsClientOptions(),
        _ resolver: @escaping HostResolver = HostAddress.all
    ) throws -> MetricsClient {
        try MetricsClient(to: address, identity: SourceIdentity(name: "test"), options: options, resolver: resolver)
    }

    private func address(_ transport: CollectorAddress.Transport, _ port: UInt16, _ host: String = "127.0.0.1")
        -> CollectorAddress
    {
        CollectorAddress(transport: transport, host: host, port: port)
    }

    private func record(_ values: Range<Int>, to client: MetricsClient, text: String = "m") {
        for value in values { client.record(PointRecord(time: 1, metricName: text, value: Double(value))) }
    }

    /// Even a program that sends once and ends.
    @Test func datagramsToAPortWithoutAListenerAreReported() throws {
        let port = try TestSocket(SOCK_DGRAM).port
        let client = try client(address(.udp, port))
        record(0..<1, to: client)
        client.close()
        guard case .system(let error) = client.statistics.lastError else {
            Issue.record("\(String(describing: client.statistics.lastError))")
            return
        }
        #expect(error.code == ECONNREFUSED)
        #expect(client.statistics.recordsSent == 1)
    }

    @Test func theDatagramAfterARefusedOneIsSent() throws {
        let unused = try TestSocket(SOCK_DGRAM).port
        let client = try client(address(.udp, unused))
        record(0..<1, to: client)
        client.flush()
        let collector = try MemoryCollector(port: unused)
        record(1..<2, to: client)
        client.close()
        #expect(eventually { collector.log.records == 1 })
        #expect(collector.stop().values == [1])
        #expect(client.statistics.recordsDropped == 0)
    }

    @Test func theLastHeartbeatOverUDPIsSentTwice() throws {
        let collector = try MemoryCollector()
        let client = try client(address(.udp, collector.port))
        record(0..<3, to: client)
        client.close()
        #expect(eventually { collector.log.heartbeats == 2 })
        #expect(collector.log.totals.values.map(\.recordsSent) == [3])
        _ = collector.stop()
    }

    @Test func dropsForWantOfRoomAreExplained() throws {
        let collector = try MemoryCollector(.init(acknowledges: { _ in false }))
        let options = MetricsClientOptions(
            flushIntervalSeconds: 0.01, unacknowledgedBytesMax: 1 << 20, closeTimeoutSeconds: 0)
        let client = try client(address(.tcp, collector.port), options)
        record(0..<1, to: client)
        #expect(eventually { collector.log.connections == 1 })
        let text = String(repeating: "x", count: 4_000)
        #expect(
            eventually {
                record(0..<100, to: client, text: text)
                return client.statistics.recordsDropped > 0
            })
        #expect(client.statistics.lastError == .noRoom(client.address, bytes: options.unacknowledgedBytesMax))
        client.close()
        _ = collector.stop()
    }

    /// The collector ends the connection as well, before or after the client has its receipt.
    @Test func aRunInWhichEverythingWasAcknowledgedHasNoError() throws {
        let collector = try MemoryCollector()
        for _ in 0..<32 {
            let client = try client(address(.tcp, collector.port))
            record(0..<10, to: client)
            client.close()
            #expect(client.statistics.recordsSent == 10 && client.statistics.lastError == nil)
        }
        _ = collector.stop()
    }

    @Test(arguments: [CollectorAddress.Transport.udp, .tcp])
    func aNameThatIsFoundLaterIsNoErrorAtTheStart(_ transport: CollectorAddress.Transport) throws {
        let collector = try MemoryCollector()
        let isKnown = Mutex(false)
        let client = try client(
            address(transport, collector.port, "later.test"), MetricsClientOptions(flushIntervalSeconds: 0.01)
        ) { address throws(ClientError) in
            guard isKnown.withLock({ $0 }) else { throw .unresolvable(host: address.host, reason: "a test") }
            return HostAddress.numeric(CollectorAddress(transport: transport, host: "127.0.0.1", port: address.port))
                ?? []
        }
        record(0..<1, to: client)
        #expect(eventually { client.statistics.lastError == .unresolvable(host: "later.test", reason: "a test") })
        // A datagram cannot wait; a frame can.
        #expect(eventually { client.statistics.recordsDropped == (transport == .udp ? 1 : 0) })
        isKnown.withLock { $0 = true }
        #expect(
            eventually {
                record(1..<2, to: client)
                usleep(20_000)
                return client.statistics.recordsSent > 0
            })
        client.close()
        let statistics = client.statistics
        #expect(statistics.recordsRecorded == statistics.recordsSent + statistics.recordsDropped)
        #expect(eventually { collector.log.records == Int(statistics.recordsSent) })
        _ = collector.stop()
    }

    @Test func aNameServerThatDoesNotAnswerKeepsNoProgramFromStarting() throws {
        let release = try WakeEvent()
        defer { release.signal() }
        let started = monotonicNanoseconds()
        let client = try client(address(.udp, 9, "slow.test"), MetricsClientOptions()) { _ in
            release.wait(timeoutMilliseconds: 60_000)
            return []
        }
        #expect(monotonicNanoseconds() - started < 20_000_000_000)
        record(0..<1, to: client)
        client.close()
        #expect(client.statistics.recordsDropped == 1 && client.statistics.lastError != nil)
    }
}
