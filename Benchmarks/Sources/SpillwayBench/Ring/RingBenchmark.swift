// How many messages a second go through the ring, beside the deque under a lock that everybody writes first.

import FrameRing
import Glibc
import Synchronization

struct RingBenchmark {
    static let producersMax = 3
    static let claimRecords = 64
    let runs: Int
    /// Messages in units of 200,000 small or 40,000 large ones.
    let scale: Int

    func run(into report: inout Report) throws {
        for bytes in [64, 1_400] {
            let messages = scale * (bytes == 64 ? 200_000 : 40_000)
            for producers in 1...Self.producersMax {
                let column = "\(producers) producer\(producers == 1 ? "" : "s")"
                for grouping in [1, Self.claimRecords] {
                    let how = grouping == 1 ? "one by one" : "\(grouping) at a time"
                    progress("ring: \(bytes) bytes, \(column), \(how)")
                    let ring = try samples { try ringRate(bytes, producers, messages, grouping) }
                    report.add("ring", "FrameRing, \(bytes) B, \(how)", column, "M messages/s", ring)
                    let deque = try samples { try dequeRate(bytes, producers, messages, grouping) }
                    report.add("ring", "deque under a mutex, \(bytes) B, \(how)", column, "M messages/s", deque)
                }
            }
        }
        progressEnd()
        report.note(
            "ring",
            """
            Producers copy each message in, one consumer reads a word of each. Whoever finds the ring full or empty \
            yields the processor. With more threads than cores the scheduler is part of the figure.
            """)
    }

    private func samples(_ measure: () throws -> Double) rethrows -> [Double] {
        _ = try measure()
        return try (0..<runs).map { _ in try measure() }
    }

    /// Millions of messages a second.
    private func ringRate(_ bytes: Int, _ producers: Int, _ messages: Int, _ grouping: Int) throws -> Double {
        let ring = FrameRing(capacityBytes: 8 << 20)
        let perProducer = messages / producers / grouping * grouping
        let message = [UInt8](repeating: 7, count: bytes)
        let gate = StartGate(threads: producers)
        let threads = try (0..<producers).map { _ in
            try Worker {
                gate.arriveAndWait()
                var sent = 0
                while sent < perProducer {
                    let done = grouping == 1 ? Self.append(message, to: ring) : Self.claim(message, grouping, in: ring)
                    if done { sent += grouping } else { sched_yield() }
                }
            }
        }
        var consumer = ring.takeConsumer()
        gate.open()
        let start = nowNanoseconds()
        var received = 0
        var sum: UInt64 = 0
        while received < perProducer * producers {
            let taken = consumer.consume(maximumRecords: 1_024) { record, _ in
                sum &+= record.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
                return true
            }
            if taken == 0 { sched_yield() }
            received += taken
        }
        let elapsed = nowNanoseconds() - start
        for thread in threads { thread.join() }
        keep(sum)
        return Double(received) * 1_000 / Double(elapsed)
    }

    private static func append(_ message: [UInt8], to ring: FrameRing) -> Bool {
        do throws(ClaimFailure) {
            try ring.append(message.span.bytes)
            return true
        } catch {
            return false
        }
    }

    private static func claim(_ message: [UInt8], _ count: Int, in ring: FrameRing) -> Bool {
        do throws(ClaimFailure) {
            var claim = try ring.claim(recordCount: count, payloadBytes: count * message.count)
            for _ in 0..<count { claim.append(message.span.bytes) }
            claim.publish()
            return true
        } catch {
            return false
        }
    }

    private func dequeRate(_ bytes: Int, _ producers: Int, _ messages: Int, _ grouping: Int) throws -> Double {
        let deque = MutexDeque(messageBytes: bytes, capacity: (8 << 20) / bytes)
        let perProducer = messages / producers / grouping * grouping
        let message = [UInt8](repeating: 7, count: bytes)
        let gate = StartGate(threads: producers)
        let threads = try (0..<producers).map { _ in
            try Worker {
                gate.arriveAndWait()
                var sent = 0
                while sent < perProducer {
                    if deque.append(message, times: grouping) { sent += grouping } else { sched_yield() }
                }
            }
        }
        gate.open()
        let start = nowNanoseconds()
        var received = 0
        var sum: UInt64 = 0
        while received < perProducer * producers {
            let taken = deque.take(max: grouping, sum: &sum)
            if taken == 0 { sched_yield() }
            received += taken
        }
        let elapsed = nowNanoseconds() - start
        for thread in threads { thread.join() }
        keep(sum)
        return Double(received) * 1_000 / Double(elapsed)
    }
}
