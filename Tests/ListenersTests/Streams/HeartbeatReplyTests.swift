// Every heartbeat over TCP gets an answer, and so does a client whose heartbeats cannot be read.

import Accounting
import Delivery
import FrameCodec
import FrameRing
import Glibc
import LinuxSystem
import Logging
import TestSupport
import Testing

@testable import Listeners

@Suite(.serialized, .timeLimit(.minutes(2)))
struct HeartbeatReplyTests {
    private let ring = FrameRing(capacityBytes: 8 << 20)

    private func listen() async throws -> TCPListener {
        var configuration = TCPListener.Configuration(address: try ListenAddress(parsing: "127.0.0.1:0"))
        configuration.receiptDeadline = .zero
        return try await TCPListener.start(
            configuration, ring: ring, accounting: Accounting(),
            registry: SessionRegistry(SessionTable(hasStore: false)),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func heartbeat(sequence: UInt64) -> [UInt8] {
        HeartbeatFrame(framesSent: 0, recordsSent: 0, bytesSent: 0, recordsDropped: 0, name: "test")
            .encoded(FrameIdentity(source: 7, session: 1, sequence: sequence))
    }

    /// The types of the replies that come within a time; an acknowledgement without ranges is `nil`.
    private func replyTypes(_ client: ClientSocket, count: Int, withinMilliseconds: Int) throws -> [FrameType?] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let end = monotonicNanoseconds() + UInt64(withinMilliseconds) * 1_000_000
        while monotonicNanoseconds() < end, try replies(in: bytes, withWelcomes: true).count < count {
            var entry = pollfd(fd: client.descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, 50) > 0 else { continue }
            let received = recv(client.descriptor, &buffer, buffer.count, 0)
            guard received > 0 else { break }
            bytes += buffer[..<received]
        }
        return try replies(in: bytes, withWelcomes: true).map { header, frame in
            guard header.type == .acknowledgement else { return header.type }
            let acknowledgement = try AcknowledgementFrame(frame: frame.span.bytes, header: header)
            return acknowledgement.durable.isEmpty ? nil : header.type
        }
    }

    @Test func everyHeartbeatIsAnsweredWithAnAcknowledgementWithoutRanges() async throws {
        let listener = try await listen()
        let client = try ClientSocket(.stream, to: listener.localAddress)
        try client.send(heartbeat(sequence: 0))
        #expect(try replyTypes(client, count: 2, withinMilliseconds: 5_000) == [.welcome, nil])
        for _ in 0..<3 {
            try client.send(heartbeat(sequence: 0))
            #expect(try replyTypes(client, count: 1, withinMilliseconds: 5_000) == [nil])
        }
        await listener.stop()
    }

    @Test func aClientWhoseHeartbeatsAreNotReadGetsAnAnswerAllTheSame() async throws {
        let listener = try await listen()
        let client = try ClientSocket(.stream, to: listener.localAddress)
        try client.send(heartbeat(sequence: 0))
        #expect(try replyTypes(client, count: 2, withinMilliseconds: 5_000) == [.welcome, nil])
        // No thread reads the ring: the stream comes to a halt.
        let payload = [UInt8](repeating: 1, count: 100_000)
        let sender = try ClientThread {
            for sequence in 1...300 as ClosedRange<UInt64> {
                try client.send(TestFrame(sequence: sequence, payload: payload).bytes)
            }
            try client.send(heartbeat(sequence: 300))
        }
        #expect(try replyTypes(client, count: 1, withinMilliseconds: 10_000) == [nil])
        #expect(try replyTypes(client, count: 1, withinMilliseconds: 10_000) == [nil])
        let reader = try RingReader(ring)
        try sender.join()
        #expect(try replyTypes(client, count: 1, withinMilliseconds: 10_000) == [nil])
        await listener.stop()
        #expect(reader.finish().count == 300)
    }
}
