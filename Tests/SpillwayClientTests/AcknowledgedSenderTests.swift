// A client whose frames must arrive, before a peer that acknowledges, cuts and says strange things as the test wants it.

import Glibc
import LinuxSystem
import Synchronization
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

/// A collector's side, one connection after the other, as a script says.
private final class ScriptedPeer: Sendable {
    struct Outcome {
        let taken: [UInt64]
        /// The connection ends without a word, and another one is waited for.
        let isCut: Bool
    }

    let address: CollectorAddress
    private let listener: Int32
    private let thread: NamedThread

    init(_ script: @escaping @Sendable (Connection, Int) -> Outcome) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 ? getsockname(descriptor, pointer, &length) : -1
            }
        }
        guard result == 0, listen(descriptor, 8) == 0 else { throw SystemCallError(call: "listen", code: errno) }
        listener = descriptor
        address = try CollectorAddress("tcp://127.0.0.1:\(UInt16(bigEndian: name.sin_port))")
        let box = Box()
        thread = try NamedThread(name: "peer") {
            for number in 0..<8 {
                let client = accept(descriptor, nil, nil)
                guard client >= 0 else { return }
                let outcome = script(Connection(descriptor: client), number)
                box.taken.withLock { $0.append(outcome.taken) }
                close(client)
                if !outcome.isCut { return }
            }
        }
        self.box = box
    }

    private final class Box: Sendable {
        let taken = Mutex<[[UInt64]]>([])
    }
    private let box: Box

    /// The sequences that each connection brought.
    func finish() -> [[UInt64]] {
        thread.join()
        close(listener)
        return box.taken.withLock { $0 }
    }

    final class Connection {
        private let descriptor: Int32
        private var bytes: [UInt8] = []
        private let identity = SourceIdentity(name: "test", session: 42).frame(sequence: 0)

        init(descriptor: Int32) { self.descriptor = descriptor }

        func send(_ bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
        func send(_ frame: some ControlFrame) { send(frame.encoded(identity)) }

        func welcome(_ ranges: [Range<UInt64>]) {
            send(WelcomeFrame(frameBytesMax: 1_048_576, recordsPerFrameMax: 16_384, durable: SequenceRanges(ranges)))
        }

        /// A frame of a type that nobody knows, with a sound checksum.
        func sendUnknownType() {
            var frame = AcknowledgementFrame(durable: SequenceRanges()).encoded(identity)
            frame[6] = 77
            frame.replaceSubrange(12..<16, with: [0, 0, 0, 0])
            let crc = Checksum.crc32c(frame.span.bytes)
            withUnsafeBytes(of: crc.littleEndian) { frame.replaceSubrange(12..<16, with: $0) }
            send(frame)
        }

        /// Reads until so many record frames came.
        func takeFrames(_ count: Int) -> [UInt64] {
            var taken: [UInt64] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while taken.count < count {
                let received = recv(descriptor, &buffer, buffer.count, 0)
                guard received > 0 else { return taken }
                bytes += buffer[..<received]
                while let header = whole() {
                    if header.type == .records { taken.append(header.identity.sequence) }
                    bytes.removeFirst(header.frameLength)
                }
            }
            return taken
        }

        private func whole() -> FrameHeader? {
            do throws(FrameError) {
                let held = bytes
                return try FrameHeader.admit(held.span.bytes)
            } catch {
                return nil
            }
        }

        /// Waits for the client's end.
        func drain() {
            var buffer = [UInt8](repeating: 0, count: 4_096)
            while recv(descriptor, &buffer, buffer.count, 0) > 0 {}
        }
    }
}
