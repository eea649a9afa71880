import Accounting
import Delivery
import FrameCodec
import FrameRing
import Glibc
import LinuxSystem
import Logging
import NIOCore
import TestSupport
import Testing

@testable import Listeners

@Suite(.serialized, .timeLimit(.minutes(2)))
struct TCPListenerTests {
    private let ring = FrameRing(capacityBytes: 8 << 20)
    private let accounting = Accounting()
    private let registry = SessionRegistry(SessionTable(hasStore: false))
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func listen(
        _ host: String = "127.0.0.1", _ change: (inout TCPListener.Configuration) -> Void = { _ in }
    ) async throws -> TCPListener {
        var configuration = TCPListener.Configuration(address: try ListenAddress(parsing: "\(host):0"))
        // Nothing becomes durable behind this ring.
        configuration.receiptDeadline = .zero
        change(&configuration)
        return try await TCPListener.start(
            configuration, ring: ring, accounting: accounting, registry: registry, logger: logger)
    }

    private var totals: Counts { accounting.snapshot().totals }

    private func refused(_ reason: ConnectionRefusal) -> UInt64 {
        accounting.snapshot().connectionsRefused.first { $0.reason == reason }?.count ?? 0
    }

    private func receipt(in bytes: [UInt8]?) throws -> ReceiptFrame {
        let received = try #require(bytes)
        let last = try #require(try replies(in: received).last)
        try #require(last.header.type == .receipt)
        return try ReceiptFrame(frame: last.frame.span.bytes, header: last.header)
    }

    /// What a welcome or an acknowledgement tells.
    private func durable(_ reply: (header: FrameHeader, frame: [UInt8])) throws -> SequenceRanges {
        let frame = reply.frame
        return reply.header.type == .welcome
            ? try WelcomeFrame(frame: frame.span.bytes, header: reply.header).durable
            : try AcknowledgementFrame(frame: frame.span.bytes, header: reply.header).durable
    }

    private func refusal(_ reply: (header: FrameHeader, frame: [UInt8])) throws -> RefusalFrame {
        try #require(reply.header.type == .refusal)
        return try RefusalFrame(frame: reply.frame.span.bytes, header: reply.header)
    }

    @Test(arguments: ["127.0.0.1", "[::1]"])
    func takesEveryFrameWhereverTheStreamIsSplitAndSendsAReceipt(host: String) async throws {
        let listener = try await listen(host)
        let reader = try RingReader(ring)
        var random = SeededGenerator(seed: 11)
        var bytes = (1...3_000 as ClosedRange<UInt64>).flatMap { sequence in
            TestFrame(
                sequence: sequence, recordCount: 2,
                payload: [UInt8](repeating: 3, count: Int.random(in: 0...200, using: &random))
            ).bytes
        }
        bytes += TestFrame(sequence: 17).bytes
        let client = try ClientSocket(.stream, to: listener.localAddress)
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(Int.random(in: 1...3_000, using: &random))
            try client.send(Array(part))
            rest = rest.dropFirst(part.count)
        }
        client.finishSending()
        let end = client.receiveToEnd()
        #expect(
            try receipt(in: end)
                == ReceiptFrame(framesAccepted: 3_000, recordsAccepted: 6_000, framesRefused: 0, framesDuplicate: 1))
        #expect(try replies(in: end ?? []).last?.header.identity == FrameIdentity(source: 7, session: 1))
        await listener.stop()
        let frames = reader.finish()
        #expect(frames.map(\.header.identity.sequence) == Array(1...3_000))
        #expect(Set(frames.map(\.tag)) == [1])
        #expect(totals[.framesReceived] == 3_000)
        #expect(totals[.duplicateFrames] == 1)
        #expect(totals[.datagramsReceived] == 0)
        #expect(accounting.snapshot().sequenceGapFrames == 0)
        #expect(accounting.snapshot().sources.first?.lastPeer.ip == listener.localAddress.ip)
    }

    @Test func aFullRingStopsTheSenderAndLosesNothing() async throws {
        let listener = try await listen()
        let client = try ClientSocket(.stream, to: listener.localAddress)
        let sent = TestCounter()
        let payload = [UInt8](repeating: 1, count: 8_000)
        let sender = try ClientThread {
            for sequence in 1...4_000 as ClosedRange<UInt64> {
                try client.send(TestFrame(sequence: sequence, payload: payload).bytes)
                sent.increment()
            }
            client.finishSending()
        }
        // Nobody reads the ring: the sender comes to a halt, with frames in the ring and in socket buffers.
        var before = -1
        #expect(
            try await eventually {
                defer { before = sent.value }
                usleep(200_000)
                return before > 500 && before == sent.value
            })
        #expect(before < 4_000)
        #expect(totals[.ringFullDrops] == 0)
        let reader = try RingReader(ring)
        try sender.join()
        #expect(try receipt(in: client.receiveToEnd()).framesAccepted == 4_000)
        await listener.stop()
        #expect(reader.finish().map(\.header.identity.sequence) == Array(1...4_000))
        #expect(totals[.framesReceived] == 4_000)
        #expect(totals[.ringFullDrops] == 0)
    }

    @Test func framesOfAPeerThatIsGoneWaitForTheRing() async throws {
        let listener = try await listen()
        let payload = [UInt8](repeating: 1, count: 100_000)
        let client = try ClientSocket(.stream, to: listener.localAddress, sendBufferBytes: 1 << 20)
        let sender = try ClientThread {
            for sequence in 1...90 as ClosedRange<UInt64> {
                try client.send(TestFrame(sequence: sequence, payload: payload).bytes)
            }
            client.finishSending()
        }
        // The ring holds about 80 of them; the peer has half-closed, but has no receipt yet.
        try sender.join()
        #expect(client.receiveToEnd(timeoutMilliseconds: 500) == nil)
        let reader = try RingReader(ring)
        #expect(try receipt(in: client.receiveToEnd()).framesAccepted == 90)
        #expect(reader.finish().count == 90)
        await listener.stop()
    }

    @Test func whatNeverFitsUntilTheStopIsCounted() async throws {
        let listener = try await listen { $0.drainMilliseconds = 200 }
        let payload = [UInt8](repeating: 1, count: 100_000)
        let client = try ClientSocket(.stream, to: listener.localAddress, sendBufferBytes: 1 << 20)
        let sender = try ClientThread {
            for sequence in 1...85 as ClosedRange<UInt64> {
                try client.send(TestFrame(sequence: sequence, recordCount: 4, payload: payload).bytes)
            }
        }
        try sender.join()
        try await Task.sleep(for: .milliseconds(100))
        await listener.stop()
        let frames = try RingReader(ring).finish()
        #expect(totals[.ringFullDropFrames] > 0)
        #expect(UInt64(frames.count) + totals[.ringFullDropFrames] == totals[.framesReceived])
        #expect(totals[.ringFullDrops] == 4 * totals[.ringFullDropFrames])
        #expect(listener.connectionCount == 0)
    }

    @Test func floodsAreQuietWhenTheStopIsOver() async throws {
        let listener = try await listen { $0.drainMilliseconds = 100 }
        let payload = [UInt8](repeating: 1, count: 8_000)
        let clients = try (0..<4).map { _ in try ClientSocket(.stream, to: listener.localAddress) }
        let senders = try clients.enumerated().map { index, client in
            try ClientThread {
                var sequence: UInt64 = 0
                do {
                    while true {
                        sequence += 1
                        try client.send(
                            TestFrame(source: UInt64(index) + 1, sequence: sequence, payload: payload).bytes)
                    }
                } catch {
                    // The collector has closed.
                }
            }
        }
        // Nobody reads the ring until the stop is over.
        #expect(try await eventually { totals[.framesReceived] > 1_000 })
        await listener.quiesce()
        let received = totals[.framesReceived]
        #expect(totals[.ringFullDropFrames] > 0)
        let reader = try RingReader(ring)
        try await Task.sleep(for: .milliseconds(100))
        #expect(totals[.framesReceived] == received)
        await listener.finish()
        for sender in senders { try sender.join() }
        #expect(UInt64(reader.finish().count) + totals[.ringFullDropFrames] == received)
    }

    @Test func stopTakesWhatIsOnItsWay() async throws {
        let listener = try await listen()
        let reader = try RingReader(ring)
        let client = try ClientSocket(.stream, to: listener.localAddress)
        for sequence in 1...1_000 as ClosedRange<UInt64> { try client.send(TestFrame(sequence: sequence).bytes) }
        #expect(try await eventually { totals[.connectionsAccepted] == 1 })
        await listener.stop()
        await listener.stop()
        #expect(reader.finish().count == 1_000)
        #expect(try replies(in: client.receiveToEnd() ?? []).isEmpty)
        #expect(throws: SystemCallError.self) { try ClientSocket(.stream, to: listener.localAddress) }
    }

    @Test func aSessionIsWelcomedAndToldWhatIsDurable() async throws {
        let listener = try await listen { $0.receiptDeadline = .seconds(30) }
        let reader = try RingReader(ring)
        let client = try ClientSocket(.stream, to: listener.localAddress)
        try client.send(TestFrame(sequence: 1).bytes + TestFrame(sequence: 2).bytes)
        client.finishSending()
        #expect(try await eventually { totals[.framesReceived] == 2 })
        let key = SessionKey(source: TestFrame().source, session: TestFrame().session)
        registry.durable([SessionFrames(key: key, sequences: SequenceRanges([1..<3]))])
        let all = try replies(in: client.receiveToEnd() ?? [], withWelcomes: true)
        #expect(all.map(\.header.type) == [.welcome, .acknowledgement, .receipt])
        try #require(all.count == 3)
        #expect(try durable(all[1]) == SequenceRanges([1..<3]))
        #expect(all[1].header.identity.session == key.session)
        // Another connection of the session hears of it at once, and what it sends again goes no further.
        let again = try ClientSocket(.stream, to: listener.localAddress)
        try again.send(TestFrame(sequence: 2).bytes + TestFrame(sequence: 3).bytes)
        #expect(try await eventually { totals[.framesReceived] == 3 })
        #expect(totals[.duplicateFrames] == 1)
        await listener.stop()
        let second = try replies(in: again.receiveToEnd() ?? [], withWelcomes: true)
        let welcome = try #require(second.first { $0.header.type == .welcome })
        #expect(try durable(welcome).contains(1))
        #expect(reader.finish().map(\.header.identity.sequence) == [1, 2, 3])
    }

    @Test func aConnectionWithMoreSessionsThanItMayHaveEndsAndIsCounted() async throws {
        let listener = try await listen { $0.receiptDeadline = .seconds(10) }
        let reader = try RingReader(ring)
        let client = try ClientSocket(.stream, to: listener.localAddress)
        for session in 1...1_100 as ClosedRange<UInt64> {
            try client.send(TestFrame(session: session, sequence: 1).bytes)
        }
        #expect(try await eventually { refused(.tooManySessions) == 1 })
        #expect(totals[.framesReceived] == 1_024)
        // What was taken is acknowledged before the end.
        for session in 1...1_024 as ClosedRange<UInt64> {
            let key = SessionKey(source: TestFrame().source, session: session)
            registry.durable([SessionFrames(key: key, sequences: SequenceRanges([1..<2]))])
        }
        var acknowledged: Set<UInt64> = []
        for reply in try replies(in: client.receiveToEnd() ?? [], withWelcomes: true)
        where reply.header.type == .welcome || reply.header.type == .acknowledgement {
            if try durable(reply).contains(1) { acknowledged.insert(reply.header.identity.session) }
        }
        #expect(acknowledged == Set(1...1_024))
        await listener.stop()
        #expect(reader.finish().count == 1_024)
    }

    @Test func refusedFramesAreNamedAndTheStreamGoesOn() async throws {
        let listener = try await listen()
        let reader = try RingReader(ring)
        let client = try ClientSocket(.stream, to: listener.localAddress)
        try client.send(
            TestFrame(sequence: 1).bytes + TestFrame(type: 200, sequence: 2, recordCount: 0).bytes
                + TestFrame(flags: 1, headerLength: 72, sequence: 3).bytes + TestFrame(sequence: 4).bytes)
        client.finishSending()
        let end = try replies(in: client.receiveToEnd() ?? [])
        try #require(end.count == 3)
        #expect(try refusal(end[0]).reasonCode == UInt64(FrameError.Reason.unknownType.rawValue))
        #expect(try refusal(end[0]).offset == 6)
        // Of a type that is unknown the sequence may be that of another frame, as a heartbeat's is.
        #expect(end[0].header.identity.sequence == 0)
        #expect(try refusal(end[1]).reasonCode == UInt64(FrameError.Reason.unknownKey.rawValue))
        #expect(end[1].header.identity.sequence == 3)
        #expect(try receipt(in: end[2].frame).framesAccepted == 2)
        #expect(try receipt(in: end[2].frame).framesRefused == 2)
        await listener.stop()
        #expect(reader.finish().map(\.header.identity.sequence) == [1, 4])
        #expect(totals[refused: .unknownType] == 1 && totals[refused: .unknownKey] == 1)
    }

    @Test func aDamagedFrameEndsTheConnectionWithARefusal() async throws {
        let listener = try await listen()
        let reader = try RingReader(ring)
        let client = try ClientSocket(.stream, to: listener.localAddress)
        var damaged = TestFrame(sequence: 2).bytes
        damaged[54] ^= 4
        // More behind it than was read when the fault was found: the refusal must survive the close.
        try client.send(TestFrame(sequence: 1).bytes + damaged + [UInt8](repeating: 0, count: 300_000))
        let end = try replies(in: client.receiveToEnd() ?? [])
        try #require(end.count == 1)
        #expect(try refusal(end[0]).reasonCode == UInt64(FrameError.Reason.checksumMismatch.rawValue))
        #expect(try refusal(end[0]).offset == 12)
        #expect(try await eventually { listener.connectionCount == 0 })
        await listener.stop()
        #expect(reader.finish().map(\.header.identity.sequence) == [1])
        #expect(totals.framesRefused == 1)
    }

    @Test func aThousandStreamsOfGarbageAreEachCounted() async throws {
        let listener = try await listen()
        let reader = try RingReader(ring)
        var random = SeededGenerator(seed: 5)
        for index in 1...1_000 {
            var bytes = (0..<Int.random(in: 1...300, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            if index % 3 == 0 { bytes = Array(TestFrame().bytes.prefix(Int.random(in: 1...55, using: &random))) }
            if index % 3 == 1 { bytes = TestFrame().bytes + bytes }
            let client = try ClientSocket(.stream, to: listener.localAddress)
            try client.send(bytes)
            client.finishSending()
            let end = try replies(in: client.receiveToEnd() ?? [])
            #expect(end.contains { $0.header.type == .refusal })
        }
        #expect(totals.framesRefused == 1_000)
        #expect(totals[refused: .badMagic] > 500)
        #expect(totals[refused: .truncatedHeader] > 200)
        #expect(totals[refused: .truncatedPayload] > 5)
        let client = try ClientSocket(.stream, to: listener.localAddress)
        try client.send(TestFrame().bytes)
        client.finishSending()
        #expect(try receipt(in: client.receiveToEnd()).framesAccepted == 1)
        #expect(try await eventually { listener.connectionCount == 0 })
        await listener.stop()
        #expect(reader.finish().count == Int(totals[.framesReceived]))
    }

    @Test func aSlowFrameAndAnIdleConnectionAreClosed() async throws {
        let listener = try await listen {
            $0.frameDeadline = .milliseconds(200)
            $0.idleDeadline = .milliseconds(400)
        }
        let slow = try ClientSocket(.stream, to: listener.localAddress)
        let idle = try ClientSocket(.stream, to: listener.localAddress)
        try idle.send(TestFrame().bytes)
        let bytes = TestFrame().bytes
        // A byte now and then is activity, but it does not make the frame whole.
        for byte in bytes.prefix(10) {
            do { try slow.send([byte]) } catch { break }
            usleep(30_000)
        }
        #expect(slow.receiveToEnd(timeoutMilliseconds: 2_000) != nil)
        #expect(idle.receiveToEnd(timeoutMilliseconds: 2_000) != nil)
        #expect(refused(.frameDeadline) == 1)
        #expect(refused(.idleDeadline) == 1)
        #expect(try await eventually { totals[refused: .truncatedHeader] == 1 })
        await listener.stop()
    }

    @Test func connectionsBeyondTheCapsAreClosedAndCounted() async throws {
        let listener = try await listen {
            $0.connectionsMax = 3
            $0.connectionsPerAddressMax = 2
        }
        let other = try #require(IPAddress("127.0.0.9"))
        var first: ClientSocket? = try ClientSocket(.stream, to: listener.localAddress)
        let second = try ClientSocket(.stream, to: listener.localAddress)
        #expect(try await eventually { listener.connectionCount == 2 })
        #expect(try ClientSocket(.stream, to: listener.localAddress).receiveToEnd() == [])
        #expect(refused(.tooManyFromAddress) == 1)
        let third = try ClientSocket(.stream, to: listener.localAddress, from: other)
        #expect(try await eventually { listener.connectionCount == 3 })
        #expect(try ClientSocket(.stream, to: listener.localAddress, from: other).receiveToEnd() == [])
        #expect(refused(.tooManyConnections) == 1)
        // A place that is free again is given again.
        _ = first?.descriptor
        first = nil
        #expect(try await eventually { listener.connectionCount == 2 })
        let fourth = try ClientSocket(.stream, to: listener.localAddress)
        for client in [second, third, fourth] {
            try client.send(TestFrame().bytes)
            client.finishSending()
            #expect(try receipt(in: client.receiveToEnd()).framesAccepted == 1)
        }
        #expect(totals[.connectionsAccepted] == 4)
        await listener.stop()
    }

    @Test func saysWhyItCannotListen() async throws {
        let everywhere = try ListenAddress(parsing: "[::]:0")
        await #expect(throws: ListenerError.unauthenticated(everywhere)) { try await listen("[::]") }
        let listener = try await listen()
        let configuration = TCPListener.Configuration(address: listener.localAddress)
        await #expect(throws: ListenerError.addressInUse(listener.localAddress)) {
            try await TCPListener.start(
                configuration, ring: ring, accounting: accounting, registry: registry, logger: logger)
        }
        await #expect(throws: ListenerError.ringTooSmall(capacityBytes: 4 << 20, neededBytes: 8 << 20)) {
            try await TCPListener.start(
                configuration, ring: FrameRing(capacityBytes: 4 << 20), accounting: accounting, registry: registry,
                logger: logger)
        }
        await listener.stop()
    }
}
