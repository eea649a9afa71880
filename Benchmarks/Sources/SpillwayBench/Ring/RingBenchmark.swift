// How many messages a second go through the ring, beside the deque under a lock that everybody writes first and the queues
// that one would take ready made.
//
// All of them take turns, run by run, so that a machine that slows down or has other work does so for all; the ratio is
// taken within each run.

import CRingPeers
import FrameRing
import Glibc
import Synchronization

struct RingBenchmark {
    static let producersMax = Int(RING_PEER_PRODUCERS_MAX)
    static let roomBytes = Int(RING_PEER_ROOM_BYTES)
    /// Messages that a consumer takes with one call at most, of every queue that can give more than one.
    static let takenMax = Int(RING_PEER_TAKEN_MAX)
    let runs: Int
    /// Messages in units of 200,000 small or 80,000 large ones, in bulk five times as many.
    let scale: Int
    /// Where the consumer and then each producer stay; none: the system decides.
    let cores: [Int]

    /// How messages go in and out.
    struct Calls {
        /// Messages that a producer puts in with one call.
        let put: Int
        /// The most that the consumer takes with one.
        let taken: Int

        var name: String {
            if put > 1 { return "\(put) at a time" }
            return taken > 1 ? "one by one" : "one by one on both sides"
        }

        static let each = [
            Calls(put: 1, taken: 1), Calls(put: 1, taken: RingBenchmark.takenMax),
            Calls(put: 64, taken: RingBenchmark.takenMax),
        ]
    }

    /// Beside the name of a table: what was measured on named cores is another figure.
    private var place: String {
        cores.isEmpty ? "" : " on cores \(cores.map(String.init).joined(separator: " "))"
    }

    struct PeerError: Error, CustomStringConvertible {
        let peer: String
        var description: String { "\(peer) lost a message, or cannot do what it was asked for" }
    }

    func run(into report: inout Report) throws {
        for bytes in [64, 1_400] {
            let messages = scale * (bytes == 64 ? 200_000 : 80_000)
            for producers in 1...Self.producersMax where cores.isEmpty || cores.count == 1 + producers {
                for calls in Calls.each {
                    // Long enough for some of the scheduler's turns.
                    try measure(bytes, producers, messages * (calls.put > 1 ? 5 : 1), calls, &report)
                }
            }
        }
        progressEnd()
        let placed =
            cores.isEmpty
            ? "With more threads than cores the scheduler is part of the figure."
            : "The consumer stays on the first of the cores, the producers on the others."
        report.note(
            "ring\(place)",
            """
            Producers copy each message in, one consumer reads a word of each where it lies. Whoever finds the queue full \
            or empty yields the processor. \(placed) One by one: a call of a producer for each message, \
            while one of the consumer takes up to \(short(Double(Self.takenMax))); on both sides: one of the consumer too. \
            64 at a time: one of a producer puts 64 in; the ring's claims for messages of one length. 8 MiB of room, but for boost, which holds \
            \(short(Double(RING_PEER_BOOST_MESSAGES_MAX))) messages at most; in large pages on request where the system \
            gives them, but for the deque's. The ring takes messages of any length, hands out whatever is published, and \
            keeps the order of all claims; boost keeps the order and hands out one by one; moodycamel, with tokens, keeps \
            the order of each producer alone. The peers know the length of messages when they are compiled.
            """)
    }

    private func measure(
        _ bytes: Int, _ producers: Int, _ messages: Int, _ calls: Calls, _ report: inout Report
    ) throws {
        let column = "\(producers) producer\(producers == 1 ? "" : "s")"
        let row = "\(bytes) B, \(calls.name)"
        progress("ring: \(row), \(column)")
        let boost = "boost.lockfree"
        let moodycamel = "moodycamel"
        var contenders: [(name: String, rate: () throws -> Double)] = [
            ("FrameRing", { try ringRate(bytes, producers, messages, calls) }),
            ("deque under a mutex", { try dequeRate(bytes, producers, messages, calls) }),
            (moodycamel, { try peerRate(RING_PEER_MOODYCAMEL, moodycamel, bytes, producers, messages, calls) }),
        ]
        if calls.put == 1, calls.taken == 1 {
            contenders.append((boost, { try peerRate(RING_PEER_BOOST, boost, bytes, producers, messages, calls) }))
        }
        // Memory is touched and grown before anything counts.
        for contender in contenders { _ = try contender.rate() }
        var samples = contenders.map { _ in [Double]() }
        for run in 0..<runs {
            // The other way round in every second run.
            for index in run % 2 == 0 ? Array(contenders.indices) : contenders.indices.reversed() {
                samples[index].append(try contenders[index].rate())
            }
        }
        for (contender, rates) in zip(contenders, samples) {
            report.add(
                "ring\(place)", "\(contender.name), \(row)", column, "M messages/s", rates,
                isPeer: contender.name != contenders[0].name)
        }
        report.add(
            "ring\(place), FrameRing / \(moodycamel)", row, column, "", zip(samples[0], samples[2]).map { $0 / $1 },
            better: .higher)
    }

    private func peerRate(
        _ kind: ring_peer, _ name: String, _ bytes: Int, _ producers: Int, _ messages: Int, _ calls: Calls
    ) throws -> Double {
        let perProducer = messages / producers / calls.put * calls.put
        let places = cores.map { Int32($0) }
        let elapsed = places.withUnsafeBufferPointer {
            ring_peer_run(
                kind, UInt32(producers), UInt64(perProducer), UInt32(bytes), UInt32(calls.put), UInt32(calls.taken),
                $0.isEmpty ? nil : $0.baseAddress)
        }
        guard elapsed > 0 else { throw PeerError(peer: name) }
        return Double(perProducer * producers) * 1_000 / Double(elapsed)
    }

    /// Millions of messages a second.
    private func ringRate(_ bytes: Int, _ producers: Int, _ messages: Int, _ calls: Calls) throws -> Double {
        let ring = FrameRing(capacityBytes: Self.roomBytes)
        let perProducer = messages / producers / calls.put * calls.put
        let message = [UInt8](repeating: 7, count: bytes)
        let gate = StartGate(threads: producers)
        let threads = try (0..<producers).map { index in
            try Worker { [cores] in
                if !cores.isEmpty { ring_peer_stay(Int32(cores[1 + index])) }
                gate.arriveAndWait()
                var sent = 0
                while sent < perProducer {
                    let done =
                        calls.put == 1 ? Self.append(message, to: ring) : Self.claim(message, calls.put, in: ring)
                    if done { sent += calls.put } else { sched_yield() }
                }
            }
        }
        var consumer = ring.takeConsumer()
        if !cores.isEmpty { ring_peer_stay(Int32(cores[0])) }
        let start = gate.open()
        var received = 0
        var sum: UInt64 = 0
        while received < perProducer * producers {
            let taken = consumer.consume(maximumRecords: calls.taken) { record, _ in
                sum &+= record.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
                return true
            }
            if taken == 0 { sched_yield() }
            received += taken
        }
        let elapsed = nowNanoseconds() - start
        for thread in threads { thread.join() }
        if !cores.isEmpty { ring_peer_stay(-1) }
        guard sum == UInt64(received) &* Self.word(of: message) else { throw PeerError(peer: "FrameRing") }
        return Double(received) * 1_000 / Double(elapsed)
    }

    static func word(of message: [UInt8]) -> UInt64 {
        message.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }

    static func append(_ message: [UInt8], to ring: FrameRing) -> Bool {
        do throws(ClaimFailure) {
            try ring.append(message.span.bytes)
            return true
        } catch {
            return false
        }
    }

    static func claim(_ message: [UInt8], _ count: Int, in ring: FrameRing) -> Bool {
        do throws(ClaimFailure) {
            var claim = try ring.claim(recordCount: count, recordBytes: message.count)
            for _ in 0..<count { claim.append(message.span.bytes) }
            claim.publish()
            return true
        } catch {
            return false
        }
    }

    private func dequeRate(_ bytes: Int, _ producers: Int, _ messages: Int, _ calls: Calls) throws -> Double {
        let deque = MutexDeque(messageBytes: bytes, capacity: Self.roomBytes / bytes)
        let perProducer = messages / producers / calls.put * calls.put
        let message = [UInt8](repeating: 7, count: bytes)
        let gate = StartGate(threads: producers)
        let threads = try (0..<producers).map { index in
            try Worker { [cores] in
                if !cores.isEmpty { ring_peer_stay(Int32(cores[1 + index])) }
                gate.arriveAndWait()
                var sent = 0
                while sent < perProducer {
                    if deque.append(message, times: calls.put) { sent += calls.put } else { sched_yield() }
                }
            }
        }
        if !cores.isEmpty { ring_peer_stay(Int32(cores[0])) }
        let start = gate.open()
        var received = 0
        var sum: UInt64 = 0
        while received < perProducer * producers {
            let taken = deque.take(max: calls.taken, sum: &sum)
            if taken == 0 { sched_yield() }
            received += taken
        }
        let elapsed = nowNanoseconds() - start
        for thread in threads { thread.join() }
        if !cores.isEmpty { ring_peer_stay(-1) }
        guard sum == UInt64(received) &* Self.word(of: message) else { throw PeerError(peer: "the deque") }
        return Double(received) * 1_000 / Double(elapsed)
    }
}
