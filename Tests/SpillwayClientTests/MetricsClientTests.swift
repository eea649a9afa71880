import Glibc
import LinuxSystem
import Testing

@testable import SpillwayClient

/// A UDP socket that stands for a collector.
private final class Receiver {
    let descriptor: Int32
    let port: UInt16

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, length)
                _ = getsockname(descriptor, $0, &length)
            }
        }
        port = UInt16(bigEndian: name.sin_port)
        var wait = timeval(tv_sec: 0, tv_usec: 300_000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// All datagrams until none comes for a while, or a client has gone on for seconds.
    func datagrams() -> [[UInt8]] {
        var all: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let end = monotonicNanoseconds() + 2_000_000_000
        while monotonicNanoseconds() < end {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count >= 0 else { return all }
            all.append(Array(buffer[..<count]))
        }
        return all
    }
}

@Suite(.timeLimit(.minutes(1))) struct MetricsClientTests {
    /// Frames of datagrams that hold one each, and their records.
    private func read(_ datagrams: [[UInt8]]) throws -> (headers: [FrameHeader], records: [AnyRecord]) {
        var decoder = FrameDecoder()
        var collector = RecordCollector()
        var headers: [FrameHeader] = []
        for datagram in datagrams {
            let header = try FrameHeader.admit(datagram.span.bytes)
            headers.append(header)
            #expect(datagram.count == header.frameLength)
            if header.type == .records { try decoder.decode(datagram.span.bytes, header: header, &collector) }
        }
        return (headers, collector.records)
    }

    @Test func whatIsRecordedArrivesInOrderWithSequencesAndTotals() throws {
        let receiver = try Receiver()
        let client = try MetricsClient(
            to: "udp://127.0.0.1:\(receiver.port)", source: "test", options: MetricsClientOptions())
        for index in 0..<500 {
            client.record(RoutingRecord(time: Timestamp.now, queryID: "query_\(index)", contextLength: Int32(index)))
        }
        client.close()
        let (headers, records) = try read(receiver.datagrams())
        #expect(records.map { $0.values[0] } == (0..<500).map { .text("query_\($0)") })
        let frames = headers.filter { $0.type == .records }
        #expect(frames.map(\.identity.sequence) == (1...UInt64(frames.count)).map { $0 })
        #expect(Set(headers.map(\.identity.source)) == [SourceIdentity.hash("test")])
        #expect(headers.last?.type == .heartbeat)
        let statistics = client.statistics
        #expect(statistics.recordsRecorded == 500)
        #expect(statistics.recordsSent == 500)
        #expect(statistics.recordsWaiting == 0)
        #expect(frames.allSatisfy { $0.frameLength <= 1_400 })
    }

    @Test func manyThreadsShareOneClient() throws {
        let receiver = try Receiver()
        let client = try MetricsClient(
            to: "udp://127.0.0.1:\(receiver.port)", source: "test", options: MetricsClientOptions())
        let threads = try (0..<4).map { thread in
            try NamedThread(name: "record") {
                for index in 0..<250 { client.record(MemoryRecord(time: Timestamp.now, agentID: "\(thread)-\(index)")) }
            }
        }
        for thread in threads { thread.join() }
        client.close()
        let records = try read(receiver.datagrams()).records
        #expect(Set(records.compactMap { "\($0.values[0] ?? .text(""))" }).count == 1_000)
    }

    @Test func aRecordThatCannotBeCarriedIsRefusedAndCounted() throws {
        let receiver = try Receiver()
        let client = try MetricsClient(
            to: "udp://127.0.0.1:\(receiver.port)", source: "test", options: MetricsClientOptions())
        client.record(RoutingRecord(time: Timestamp.now, queryID: "a\0b"))
        client.record(RoutingRecord(time: Timestamp.now, queryText: String(repeating: "x", count: 70_000)))
        client.record(RoutingRecord(time: Timestamp.now, queryID: "fine"))
        client.close()
        client.record(RoutingRecord(time: Timestamp.now, queryID: "late"))
        #expect(client.statistics.recordsRefused == 2)
        #expect(client.statistics.recordsSent == 1)
        #expect(client.statistics.recordsDropped == 1)
        #expect(client.statistics.lastRefusal == .textTooLong(bytes: 70_000))
        #expect(try read(receiver.datagrams()).records.count == 1)
    }

    @Test func theFlushIntervalSendsWhatWaits() throws {
        let receiver = try Receiver()
        let client = try MetricsClient(
            to: "udp://127.0.0.1:\(receiver.port)", source: "test",
            options: MetricsClientOptions(flushIntervalSeconds: 0.05))
        client.record(SystemRecord(time: Timestamp.now, systemID: "waits"))
        #expect(try read(receiver.datagrams()).records.count == 1)
        client.close()
        client.close()
    }

    @Test(arguments: ["tls://127.0.0.1:1", "http://127.0.0.1:1", "127.0.0.1:1", "udp://127.0.0.1:99999", ""])
    func anAddressThatCannotBeIsAnErrorAtOnce(_ address: String) {
        #expect(throws: ClientError.self) {
            try MetricsClient(to: address, source: "test", options: MetricsClientOptions())
        }
    }

    @Test func theSourcesNumberIsTheSameForEver() {
        // FNV-1a, 64 bits, of "a": http://www.isthe.com/chongo/tech/comp/fnv/
        #expect(SourceIdentity.hash("a") == 0xaf63_dc4c_8601_ec8c)
        #expect(SourceIdentity(name: "a").session != SourceIdentity(name: "a").session)
    }
}
