// How long a message takes through the ring: from when it is due, or just before its claim, to its reading, each message by
// the clock.

import FrameCodec
import FrameRing
import Glibc
import LinuxSystem

struct RingLatencyBenchmark {
    static let messagesPerSecond = 100_000
    /// A ring for the flat-out case, so small that messages do not stand long before each other.
    static let smallRoomBytes = 65_536
    let runs: Int
    let seconds: Double

    private enum Waiting {
        /// As the collector's drainer: in `poll` for the ring's signal.
        case asleep
        /// It looks again and again.
        case awake
    }

    /// What one run saw.
    private struct Passage {
        /// In nanoseconds, ascending.
        var latencies: [UInt32]
        var sleeps = 0
        var consumerShare = 0.0

        func microseconds(_ part: Double) -> Double {
            Double(latencies[max(Int((Double(latencies.count) * part).rounded(.up)) - 1, 0)]) / 1_000
        }
    }

    func run(into report: inout Report) throws {
        let paced = "\(short(Double(Self.messagesPerSecond))) messages/s"
        try measure("consumer asleep when there is nothing, \(paced)", .asleep, isPaced: true, &report)
        try measure("consumer awake, \(paced)", .awake, isPaced: true, &report)
        try measure("consumer awake, flat out", .awake, isPaced: false, &report)
        progressEnd()
        report.note(
            "ring latency",
            """
            Messages of 64 B from one producer to their reading: with a pace from when each is due, flat out from just \
            before its first claim; both sides read the clock for each message. A producer with a pace waits on the \
            clock and keeps a core to itself. Flat out the consumer always has \
            work as long as it is not the faster one; the ring then has \(Self.smallRoomBytes >> 10) KiB, so that at most \
            \(short(Double(Self.smallRoomBytes / 64))) messages stand before one.
            """)
    }

    private func measure(_ row: String, _ waiting: Waiting, isPaced: Bool, _ report: inout Report) throws {
        progress("ring latency: \(row)")
        _ = try passage(waiting, isPaced: isPaced)
        let passages = try (0..<runs).map { _ in try passage(waiting, isPaced: isPaced) }
        func add(_ column: String, _ unit: String, _ better: Better? = nil, _ value: (Passage) -> Double) {
            report.add("ring latency", row, column, unit, passages.map(value), better: better)
        }
        add("p50", "us") { $0.microseconds(0.5) }
        add("p99", "us") { $0.microseconds(0.99) }
        add("p99.9", "us") { $0.microseconds(0.999) }
        add("consumer", "CPU s/s") { $0.consumerShare }
        add("sleeps", "per message", .neither) { Double($0.sleeps) / Double($0.latencies.count) }
    }

    private func passage(_ waiting: Waiting, isPaced: Bool) throws -> Passage {
        let wake = try WakeEvent()
        let ring = FrameRing(capacityBytes: isPaced ? RingBenchmark.roomBytes : Self.smallRoomBytes) { wake.signal() }
        // Flat out it is some ten times as fast.
        let count = Int(seconds * Double(Self.messagesPerSecond)) * (isPaced ? 1 : 10)
        let interval = isPaced ? 1_000_000_000 / UInt64(Self.messagesPerSecond) : 0
        let gate = StartGate(threads: 1)
        let producer = try Worker {
            gate.arriveAndWait()
            Self.produce(count, intervalNanoseconds: interval, into: ring)
        }
        var consumer = ring.takeConsumer()
        var result = Passage(latencies: [UInt32](repeating: 0, count: count))
        let start = gate.open()
        let startCPU = threadNanoseconds()
        var received = 0
        while received < count {
            let taken = consumer.consume(maximumRecords: FrameLimits.recordsPerFrameMax) { record, _ in
                let claimed = record.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
                result.latencies[received] = UInt32(clamping: nowNanoseconds() - claimed)
                received += 1
                return true
            }
            guard taken == 0 else { continue }
            switch waiting {
            case .awake: break
            case .asleep:
                guard let milliseconds = consumer.prepareToWait() else { continue }
                result.sleeps += 1
                if wake.wait(timeoutMilliseconds: Int32(milliseconds)) { wake.consume() }
            }
        }
        result.consumerShare = Double(threadNanoseconds() - startCPU) / Double(nowNanoseconds() - start)
        producer.join()
        result.latencies.sort()
        return result
    }

    /// A producer that is late sends at once, until it has made up for it.
    private static func produce(_ count: Int, intervalNanoseconds: UInt64, into ring: FrameRing) {
        var message: InlineArray<8, UInt64> = .init(repeating: 0)
        var due = nowNanoseconds()
        for _ in 0..<count {
            var now = nowNanoseconds()
            while now < due { now = nowNanoseconds() }
            // With a pace from when it is due: what holds the producer up counts for all that are late for it.
            message[0] = intervalNanoseconds > 0 ? due : now
            while true {
                do throws(ClaimFailure) {
                    try ring.append(message.span.bytes)
                    break
                } catch {
                    sched_yield()
                }
            }
            due += intervalNanoseconds
        }
    }
}
