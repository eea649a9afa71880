// A client over UDP is heard again after its host got another address, and after the collector's name did.

import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import SpillwayClient

@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: NetworkNamespace.isPossible))
struct AddressChangeTests {
    /// The recording thread sends, and meets the errors.
    private let options = MetricsClientOptions(bufferRecordsMax: 5, flushIntervalSeconds: 3_600)

    private func record(_ values: Range<Int>, to client: MetricsClient) {
        for value in values {
            client.record(PointRecord(time: 1, metricName: "m", value: Double(value)))
            usleep(500)
        }
    }

    private func client(
        _ spaces: LinkedNamespaces, host: String, port: UInt16, _ resolver: @escaping HostResolver = HostAddress.all
    ) throws -> MetricsClient {
        let options = options
        return try spaces.client.run {
            try MetricsClient(
                to: CollectorAddress(transport: .udp, host: host, port: port), identity: SourceIdentity(name: "test"),
                options: options, resolver: resolver)
        }
    }

    @Test func aHostWithAnotherAddressIsHeardAgain() throws {
        let spaces = try LinkedNamespaces()
        let collector = try spaces.collector.run { try MemoryCollector(ip: [10, 9, 0, 1]) }
        let client = try client(spaces, host: "10.9.0.1", port: collector.port)
        record(0..<100, to: client)
        #expect(eventually { collector.log.records == 100 })
        var next = 100
        for change in 0..<(isTorture ? 60 : 2) {
            #expect(spaces.changeClientAddress(to: "10.9.0.\(20 + change)"))
            let isHeard = eventually(withinMilliseconds: 10_000) {
                record(next..<next + 20, to: client)
                next += 20
                usleep(50_000)
                return collector.log.values.contains(Double(next - 1))
            }
            #expect(isHeard, "\(client.statistics)")
        }
        #expect(client.statistics.lastError != nil)
        client.close()
        usleep(200_000)
        let log = collector.stop()
        let totals = client.statistics
        #expect(totals.recordsRecorded == UInt64(next))
        #expect(totals.recordsSent + totals.recordsDropped == UInt64(next))
        // The collector knows what was sent, and so what was lost on the way.
        #expect(log.totals.values.map(\.recordsSent) == [totals.recordsSent])
        #expect(UInt64(log.records) <= totals.recordsSent)
        print("recorded \(next), sent \(totals.recordsSent), dropped \(totals.recordsDropped), stored \(log.records)")
    }

    /// As `spillway send` does, in its own thread.
    @Test func aTransportThatIsAskedForItReplacesItsSocket() throws {
        let spaces = try LinkedNamespaces()
        let collector = try spaces.collector.run { try MemoryCollector(ip: [10, 9, 0, 1]) }
        let port = collector.port
        try spaces.client.run {
            var transport = try UDPTransport(to: CollectorAddress(transport: .udp, host: "10.9.0.1", port: port))
            let frame = HeartbeatFrame(framesSent: 0, recordsSent: 0, bytesSent: 0, recordsDropped: 0, name: "test")
                .encoded(FrameIdentity(source: 1, session: 1))
            func send(_ transport: inout UDPTransport) {
                transport.append(frame.span.bytes, recordCount: 0)
                transport.send()
            }
            send(&transport)
            #expect(eventually { collector.log.heartbeats == 1 })
            _ = system("ip addr flush dev v0 && ip addr add 10.9.0.3/24 dev v0")
            #expect(
                eventually(withinMilliseconds: 5_000) {
                    send(&transport)
                    transport.reopenIfNeeded()
                    usleep(20_000)
                    return collector.log.heartbeats > 1
                })
        }
        _ = collector.stop()
    }

    @Test func aCollectorWhoseNameGotAnotherAddressIsFoundWithTheNextSocket() throws {
        let spaces = try LinkedNamespaces()
        let first = try spaces.collector.run { try MemoryCollector(ip: [10, 9, 0, 1]) }
        let port = first.port
        let second = try spaces.collector.run { try MemoryCollector(ip: [10, 9, 0, 9], port: port) }
        let hasMoved = Atomic(false)
        let client = try client(spaces, host: "collector.test", port: port) { (address) throws(ClientError) in
            let host = hasMoved.load(ordering: .relaxed) ? "10.9.0.9" : "10.9.0.1"
            return try HostAddress.all(of: CollectorAddress(transport: .udp, host: host, port: address.port))
        }
        record(0..<50, to: client)
        #expect(eventually { first.log.records == 50 })
        hasMoved.store(true, ordering: .relaxed)
        #expect(spaces.changeClientAddress(to: "10.9.0.3"))
        #expect(
            eventually(withinMilliseconds: 10_000) {
                record(50..<60, to: client)
                usleep(50_000)
                return second.log.records > 0
            })
        if isTorture {
            // Without any error too, once a minute.
            hasMoved.store(false, ordering: .relaxed)
            let before = first.log.records
            #expect(
                eventually(withinMilliseconds: 70_000) {
                    record(60..<70, to: client)
                    usleep(100_000)
                    return first.log.records > before
                })
        }
        client.close()
        _ = first.stop()
        _ = second.stop()
    }
}
