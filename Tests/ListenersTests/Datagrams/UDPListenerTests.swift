import Accounting
import Admission
import FrameCodec
import FrameRing
import Glibc
import LinuxSystem
import Logging
import TestSupport
import Testing

@testable import Listeners

@Suite(.serialized, .timeLimit(.minutes(2)))
struct UDPListenerTests {
    private let ring = FrameRing(capacityBytes: 16 << 20)
    private let accounting = Accounting()
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func listen(
        _ host: String = "127.0.0.1", on ring: FrameRing? = nil,
        _ change: (inout UDPListener.Configuration) -> Void = { _ in }
    ) throws -> UDPListener {
        var configuration = UDPListener.Configuration(address: try ListenAddress(parsing: "\(host):0"))
        change(&configuration)
        return try UDPListener(configuration, ring: ring ?? self.ring, accounting: accounting, logger: logger)
    }

    private var totals: Counts { accounting.snapshot().totals }

    @Test(arguments: ["127.0.0.1", "[::1]"], [1, 3])
    func takesEveryDatagram(host: String, sockets: Int) async throws {
        let listener = try listen(host) { $0.sockets = sockets }
        let reader = try RingReader(ring)
        // Few enough for the socket's buffer, so that none is lost however late the receiver is.
        let clients = try (0..<5).map { _ in try ClientSocket(.datagrams, to: listener.localAddress) }
        for sequence in 1...4_000 as ClosedRange<UInt64> {
            try clients[Int(sequence % 5)].send(TestFrame(sequence: sequence, recordCount: 2).bytes)
        }
        #expect(try await eventually { totals[.framesReceived] == 4_000 })
        listener.stop()
        let frames = reader.finish()
        #expect(Set(frames.map(\.header.identity.sequence)) == Set(1...4_000))
        #expect(frames.count == 4_000)
        #expect(frames.allSatisfy { $0.tag == 0 })
        let snapshot = accounting.snapshot()
        #expect(snapshot.totals[.datagramsReceived] == 4_000)
        #expect(snapshot.totals[.recordsReceived] == 8_000)
        #expect(snapshot.totals[.bytesReceived] == 4_000 * 56)
        #expect(snapshot.totals[.kernelDrops] == 0)
        #expect(snapshot.totals.framesRefused == 0)
        #expect(snapshot.sequenceGapFrames == 0)
        #expect(snapshot.sources.map(\.source) == [7])
        #expect(snapshot.sources.first?.lastPeer.ip == listener.localAddress.ip)
    }

    /// A datagram that ends within a frame is refused for what is missing, in the order of the protocol's table.
    @Test func aDatagramThatEndsWithinAFrameIsRefusedForWhatIsMissing() async throws {
        let listener = try listen()
        let client = try ClientSocket(.datagrams, to: listener.localAddress)
        let longHeader = TestFrame(flags: 1, headerLength: 72, sequence: 1).bytes
        for length in [1, 51, 52, 60, 71] { try client.send(Array(longHeader.prefix(length))) }
        try client.send(Array(longHeader.prefix(72)))
        try client.send(Array(longHeader.dropLast()))
        try client.send(Array(TestFrame(type: 200).bytes.dropLast()))
        try client.send(TestFrame(sequence: 2).bytes + longHeader.prefix(60))
        #expect(try await eventually { totals.framesRefused == 9 })
        listener.stop()
        #expect(totals[refused: .truncatedHeader] == 6)
        #expect(totals[refused: .truncatedPayload] == 2)
        #expect(totals[refused: .unknownType] == 1)
    }

    @Test func keepsTheFramesBeforeAFaultAndRefusesTheRestOnce() async throws {
        let listener = try listen()
        let reader = try RingReader(ring)
        let client = try ClientSocket(.datagrams, to: listener.localAddress)
        var damaged = TestFrame(sequence: 3).bytes
        damaged[54] ^= 1
        try client.send(
            TestFrame(sequence: 1).bytes + TestFrame(sequence: 2).bytes + damaged + TestFrame(sequence: 4).bytes)
        #expect(try await eventually { totals[.framesReceived] == 2 && totals.framesRefused == 1 })
        listener.stop()
        #expect(reader.finish().map(\.header.identity.sequence) == [1, 2])
        #expect(totals[refused: .checksumMismatch] == 1)
        #expect(totals[.datagramsReceived] == 1)
    }

    @Test(arguments: [
        (TestFrame(flags: 1, headerLength: 72), FrameError.Reason.unknownKey),
        (TestFrame(type: 16, recordCount: 0), .unknownType), (TestFrame(type: 19, recordCount: 0), .unknownType),
        (TestFrame(type: 99, recordCount: 0), .unknownType), (TestFrame(flags: 2), .unknownFlag),
        (TestFrame(recordCount: 0), .emptyFrame), (TestFrame(recordCount: 16_385), .tooManyRecords),
        (TestFrame(baseTime: .min), .timeOutOfRange), (TestFrame(type: 1), .recordCountMismatch),
    ])
    func refusesByReason(frame: TestFrame, reason: FrameError.Reason) async throws {
        let listener = try listen()
        let client = try ClientSocket(.datagrams, to: listener.localAddress)
        try client.send(TestFrame().bytes)
        try client.send(frame.bytes)
        #expect(try await eventually { totals.framesRefused == 1 })
        listener.stop()
        let snapshot = accounting.snapshot()
        #expect(snapshot.totals[refused: reason] == 1)
        #expect(snapshot.totals[.framesReceived] == 1)
        // The checksum is sound, so the source is known.
        #expect(snapshot.sources.first?.counts[refused: reason] == 1)
    }

    @Test func refusesAnEmptyDatagram() async throws {
        let listener = try listen()
        try ClientSocket(.datagrams, to: listener.localAddress).send([])
        #expect(try await eventually { totals[refused: .truncatedHeader] == 1 })
        listener.stop()
        #expect(totals[.datagramsReceived] == 1)
    }

    @Test func aDatagramThatDoesNotFitIsTruncatedAndSaysSo() throws {
        var batch = try DatagramBatch()
        let socket = try UDPSocket(
            address: ListenAddress(ip: .loopback, port: 0), sharesPort: false, receiveBufferBytes: 1 << 20)
        // No datagram of IPv4 is larger than the buffer, so the largest one must come whole.
        let bytes = [UInt8](repeating: 7, count: FrameLimits.datagramBytesMax)
        try ClientSocket(.datagrams, to: socket.localAddress).send(bytes)
        try batch.receive(from: socket.descriptor)
        #expect(batch.count == 1)
        #expect(!batch.datagram(at: 0).isTruncated)
        #expect(batch.withBytes(of: batch.datagram(at: 0)) { $0.byteCount } == bytes.count)
        // A smaller buffer shows the flag.
        var small = try DatagramBatch(datagramBytesMax: 100)
        try ClientSocket(.datagrams, to: socket.localAddress).send(TestFrame(payload: bytes.dropLast(9_000)).bytes)
        try small.receive(from: socket.descriptor)
        #expect(small.datagram(at: 0).isTruncated)
        var intake = DatagramIntake(
            ring: ring, accounting: accounting, log: RefusalLog(logger))
        intake.take(small, nowMicroseconds: 0)
        #expect(totals[refused: .truncatedDatagram] == 1)
        #expect(totals[.framesReceived] == 0)
    }

    /// As many small frames as a claim can have: none of them goes in by itself.
    @Test func whatIsMoreThanAClaimIsHandedOverInAsFewAsItTakes() throws {
        let small = FrameRing(capacityBytes: 512 << 10)
        var consumer = small.takeConsumer()
        var batch = try DatagramBatch()
        let socket = try UDPSocket(
            address: ListenAddress(ip: .loopback, port: 0), sharesPort: false, receiveBufferBytes: 8 << 20)
        let client = try ClientSocket(.datagrams, to: socket.localAddress)
        let frame = TestFrame(payload: [UInt8](repeating: 1, count: 10)).bytes
        let perDatagram = FrameLimits.datagramBytesMax / frame.count
        let datagrams = 3
        for _ in 0..<datagrams { try client.send([UInt8]((0..<perDatagram).map { _ in frame }.joined())) }
        try batch.receive(from: socket.descriptor)
        #expect(batch.count == datagrams)
        var intake = DatagramIntake(
            ring: small, accounting: accounting, log: RefusalLog(logger))
        intake.take(batch, nowMicroseconds: 0)
        #expect(totals[.framesReceived] == UInt64(datagrams * perDatagram))
        #expect(totals[.ringFullDropFrames] == 0)
        let taken = consumer.consume(maximumRecords: 1 << 20) { _, _ in true }
        #expect(taken == datagrams * perDatagram)
        // Frame by frame there would be thousands.
        #expect(small.consumedClaims <= 4)
    }

    @Test func whatTheRingHasNoRoomForIsCounted() async throws {
        let small = FrameRing(capacityBytes: 512 << 10)
        let listener = try listen(on: small)
        let client = try ClientSocket(.datagrams, to: listener.localAddress)
        for sequence in 1...2_000 as ClosedRange<UInt64> {
            try client.send(
                TestFrame(sequence: sequence, recordCount: 5, payload: [UInt8](repeating: 1, count: 1_000)).bytes)
        }
        #expect(try await eventually { totals[.framesReceived] == 2_000 })
        listener.stop()
        let frames = try RingReader(small).finish()
        #expect(frames.count > 300)
        #expect(totals[.ringFullDropFrames] == UInt64(2_000 - frames.count))
        #expect(totals[.ringFullDrops] == totals[.ringFullDropFrames] * 5)
        // What fits is taken in order, from the first frame on.
        #expect(frames.prefix(300).map(\.header.identity.sequence) == Array(1...300))
        #expect(accounting.snapshot().sources.first?.counts[.ringFullDrops] == totals[.ringFullDrops])
    }

    @Test func kernelDropsAreSeenWithoutALaterDatagramAndCountedOnce() async throws {
        // A wake that waits stands for a receiver that is not scheduled.
        let opened = TestCounter()
        let entered = TestCounter()
        let ring = FrameRing(capacityBytes: 16 << 20) {
            entered.increment()
            while opened.value < entered.value { usleep(1_000) }
        }
        var consumer = ring.takeConsumer()
        let listener = try listen(on: ring) { $0.receiveBufferBytes = 4_096 }
        let client = try ClientSocket(.datagrams, to: listener.localAddress)
        var sent: UInt64 = 0
        for round in 1...3 {
            while consumer.consume(maximumRecords: 1_000, { (_, _) -> Bool in true }) > 0 {}
            #expect(consumer.prepareToWait() != nil)
            try client.send(TestFrame().bytes)
            #expect(try await eventually { entered.value == round })
            for _ in 0..<300 { try client.send(TestFrame().bytes) }
            sent += 301
            opened.increment()
            #expect(try await eventually { totals[.datagramsReceived] + totals[.kernelDrops] == sent })
            #expect(totals[.kernelDrops] > 250 * UInt64(round))
        }
        listener.stop()
        #expect(totals[.datagramsReceived] + totals[.kernelDrops] == sent)
    }

    @Test func stopLosesNothingUnseenUnderABusySender() async throws {
        let listener = try listen()
        let reader = try RingReader(ring)
        let client = try ClientSocket(.datagrams, to: listener.localAddress)
        let sent = TestCounter()
        let stops = TestCounter()
        let sender = try ClientThread {
            // Until the socket is gone: then the kernel answers and a send fails.
            for sequence in 1...1_000_000 as ClosedRange<UInt64> {
                do { try client.send(TestFrame(sequence: sequence).bytes) } catch { break }
                sent.increment()
                if stops.value > 0, sequence % 50 == 0 { usleep(100) }
            }
        }
        #expect(try await eventually { totals[.framesReceived] > 5_000 })
        stops.increment()
        listener.stop()
        try sender.join()
        let accounted = Int(totals[.datagramsReceived] + totals[.kernelDrops])
        // Nobody's is what arrives between the last look at the kernel's counter and the close, two calls later, and the
        // one or two datagrams after it. The sender pauses behind each 50: a thread that is set aside right there meets
        // no more than a few such bursts. A stop that forgot the queue would miss thousands.
        #expect((0...200).contains(sent.value - accounted))
        #expect(reader.finish().count + Int(totals[.ringFullDropFrames]) == Int(totals[.framesReceived]))
    }

    @Test func gapsAndResendsAreCounted() async throws {
        let listener = try listen()
        let reader = try RingReader(ring)
        let client = try ClientSocket(.datagrams, to: listener.localAddress)
        for sequence in [1, 2, 5, 5, 4, 0, 0, 1] as [UInt64] { try client.send(TestFrame(sequence: sequence).bytes) }
        #expect(try await eventually { totals[.datagramsReceived] == 8 })
        listener.stop()
        #expect(reader.finish().map(\.header.identity.sequence) == [1, 2, 5, 4, 0, 0])
        #expect(totals[.duplicateFrames] == 2)
        #expect(totals[.framesReceived] == 6)
        #expect(accounting.snapshot().sequenceGapFrames == 1)
    }

    @Test func everyOneOfAHundredThousandRandomDatagramsIsCounted() async throws {
        let listener = try listen()
        let reader = try RingReader(ring)
        let client = try ClientSocket(.datagrams, to: listener.localAddress)
        var random = SeededGenerator(seed: 2_026)
        var expected = Counts()
        for index in 1...100_000 {
            let datagram = Self.randomDatagram(&random)
            Self.count(datagram, in: &expected)
            try client.send(datagram)
            // Never more under way than the socket's buffer holds.
            if index % 1_000 == 0 {
                #expect(try await eventually { totals[.datagramsReceived] == index })
            }
        }
        listener.stop()
        #expect(totals == expected)
        #expect(reader.finish().count == Int(expected[.framesReceived]))
        #expect(expected[.framesReceived] > 1_000 && expected.framesRefused > 10_000)
        #expect(FrameError.Reason.allCases.filter { expected[refused: $0] > 0 }.count >= 9)
    }

    private static func randomDatagram(_ random: inout SeededGenerator) -> [UInt8] {
        var frame = TestFrame(payload: (0..<Int.random(in: 0...40, using: &random)).map { UInt8($0) })
        switch Int.random(in: 0..<10, using: &random) {
        case 0:
            return (0..<Int.random(in: 0...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        case 1:
            return Array(frame.bytes.prefix(Int.random(in: 0...frame.bytes.count, using: &random)))
        case 2, 3, 4:
            var bytes = frame.bytes
            bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 1 << UInt8.random(in: 0...7, using: &random)
            return bytes
        case 5:
            frame.type = UInt8.random(in: 0...20, using: &random)
            frame.recordCount = UInt32.random(in: 0...2, using: &random)
            return frame.bytes
        case 6:
            frame.recordCount = UInt32.random(in: 0...40_000, using: &random)
            return TestFrame().bytes + frame.bytes
        case 7:
            frame.baseTime = Bool.random(using: &random) ? .min : .max
            return frame.bytes + [1, 2, 3]
        default:
            return (0..<Int.random(in: 1...4, using: &random)).flatMap { _ in frame.bytes }
        }
    }

    /// What the ledger must say of a datagram.
    private static func count(_ datagram: [UInt8], in counts: inout Counts) {
        counts.add(1, to: .datagramsReceived)
        var rest = datagram[...]
        repeat {
            switch FrameCut(at: Array(rest).span.bytes) {
            case .frame(let header):
                if header.type == .heartbeat {
                    counts.add(1, to: .heartbeatsReceived)
                } else {
                    counts.add(1, to: .framesReceived)
                    counts.add(header.recordCount, to: .recordsReceived)
                    counts.add(header.frameLength, to: .bytesReceived)
                }
                rest = rest.dropFirst(header.frameLength)
            case .refused(let error, _, let frameBytes):
                counts[refused: error.reason] += 1
                rest = rest.dropFirst(frameBytes)
            case .broken(let error): return counts[refused: error.reason] += 1
            case .incomplete:
                let hasHeader = rest.count >= FrameHeader.lengthMin && rest.count >= Int(rest[rest.startIndex + 5])
                return counts[refused: hasHeader ? .truncatedPayload : .truncatedHeader] += 1
            }
        } while !rest.isEmpty
    }

    @Test func aRefusedFrameWithSoundLengthsKeepsNoneBehindItFromTheRing() async throws {
        let listener = try listen()
        let reader = try RingReader(ring)
        let client = try ClientSocket(.datagrams, to: listener.localAddress)
        let good = TestFrame(sequence: 1).bytes
        for fault in [TestFrame(type: 19), TestFrame(type: 99), TestFrame(flags: 2), TestFrame(recordCount: 0)] {
            try client.send(fault.bytes + TestFrame(sequence: 0).bytes)
        }
        try client.send(good)
        #expect(try await eventually { totals[.datagramsReceived] == 5 })
        listener.stop()
        #expect(totals.framesRefused == 4)
        #expect(totals[.framesReceived] == 5)
        #expect(reader.finish().count == 5)
    }

    @Test func refusesToListenWhereItMustNot() throws {
        let everywhere = try ListenAddress(parsing: "0.0.0.0:0")
        let error = #expect(throws: ListenerError.self) { try listen("0.0.0.0") }
        #expect(error == .unauthenticated(everywhere))
        #expect(error?.description.contains("--allow-unauthenticated") == true)
        try listen("0.0.0.0") { $0.allowUnauthenticated = true }.stop()

        let first = try listen()
        for sockets in [1, 2] {
            var configuration = UDPListener.Configuration(address: first.localAddress)
            configuration.sockets = sockets
            #expect(throws: ListenerError.addressInUse(first.localAddress)) {
                try UDPListener(configuration, ring: ring, accounting: accounting, logger: logger)
            }
        }
        first.stop()
        let foreign = try ListenAddress(parsing: "192.0.2.1:0")
        #expect(throws: ListenerError.addressNotAvailable(foreign)) {
            try listen("192.0.2.1") { $0.allowUnauthenticated = true }
        }
        #expect(throws: ListenerError.ringTooSmall(capacityBytes: 1_024, neededBytes: 512 << 10)) {
            try listen(on: FrameRing(capacityBytes: 1_024))
        }
    }

    @Test func twoSocketGroupsCannotShareAPort() throws {
        let first = try listen { $0.sockets = 2 }
        var configuration = UDPListener.Configuration(address: first.localAddress)
        configuration.sockets = 2
        #expect(throws: ListenerError.addressInUse(first.localAddress)) {
            try UDPListener(configuration, ring: ring, accounting: accounting, logger: logger)
        }
        first.stop()
    }
}
