// A client over a network that cuts, swallows and freezes its connections: nothing acknowledged is missing, every loss is counted at
// both ends, and recording does not wait. The long form, with SPILLWAY_TORTURE=1, takes five minutes and thousands of connections.

import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import SpillwayClient

@Suite(.serialized, .timeLimit(.minutes(10))) struct BrokenNetworkTests {
    private static let seconds: UInt64 = isTorture ? 300 : 4

    /// How long the calls of the recording thread took.
    private struct Durations {
        /// Calls by the binary logarithm of their nanoseconds.
        private var counts = [Int](repeating: 0, count: 64)
        private(set) var longest: UInt64 = 0
        private(set) var overMillisecond = 0
        /// Of those, the ones in which the thread gave up the processor by itself: it waited for a lock.
        private(set) var waited = 0
        private(set) var calls = 0

        mutating func measure(_ call: () -> Void) {
            let switches = Self.voluntarySwitches()
            let start = monotonicNanoseconds()
            call()
            let nanoseconds = monotonicNanoseconds() - start
            add(nanoseconds)
            if nanoseconds > 1_000_000, Self.voluntarySwitches() != switches { waited += 1 }
        }

        /// RUSAGE_THREAD, which the module does not have.
        private static let calling = __rusage_who_t(1)

        private static func voluntarySwitches() -> Int {
            var usage = rusage()
            getrusage(calling, &usage)
            return usage.ru_nvcsw
        }

        private mutating func add(_ nanoseconds: UInt64) {
            counts[63 - (nanoseconds | 1).leadingZeroBitCount] += 1
            longest = max(longest, nanoseconds)
            overMillisecond += nanoseconds > 1_000_000 ? 1 : 0
            calls += 1
        }

        /// The upper bound of the class in which this part of the calls ends.
        func quantile(_ part: Double) -> UInt64 {
            var left = Int(Double(calls) * part)
            for (index, count) in counts.enumerated() {
                left -= count
                if left <= 0 { return 1 << UInt64(index + 1) }
            }
            return longest
        }
    }

    @Test func nothingAcknowledgedIsMissingAndEveryLossIsCounted() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix(state: seed)
        let collector = try MemoryCollector()
        let relay = try Relay(to: collector.port)
        let client = try MetricsClient(
            to: CollectorAddress(transport: .tcp, host: "127.0.0.1", port: relay.port),
            identity: SourceIdentity(name: "test"),
            options: MetricsClientOptions(flushIntervalSeconds: 0.01, closeTimeoutSeconds: 60),
            heartbeatMilliseconds: 100, resolver: HostAddress.all)
        let sums = try SumWatcher(client)
        var durations = Durations()
        let end = monotonicNanoseconds() + Self.seconds * 1_000_000_000
        var nextChange: UInt64 = 0
        var recorded = 0
        while monotonicNanoseconds() < end {
            let now = monotonicNanoseconds()
            if now >= nextChange {
                // A broken mode lasts longer than it takes to notice it, now and then.
                let mode = [Relay.Mode.forward, .forward, .forward, .swallow, .freeze][
                    Int.random(in: 0..<5, using: &random)]
                relay.set(mode)
                relay.cut(afterBytes: Int.random(in: 200...40_000, using: &random))
                nextChange = now + UInt64.random(in: 50_000_000...500_000_000, using: &random)
            }
            for _ in 0..<20 {
                let record = PointRecord(time: 1, metricName: "m", value: Double(recorded))
                durations.measure { client.record(record) }
                recorded += 1
            }
            usleep(1_000)
        }
        relay.set(.forward)
        relay.cut(afterBytes: 0)
        client.close()
        let (checks, mismatches) = sums.finish()
        print("recorded = sent + dropped + refused + waiting in \(checks - mismatches) of \(checks) checks")
        #expect(mismatches == 0 && checks > 100)
        let connections = relay.accepted
        relay.stop()
        let (log, totals) = (collector.stop(), client.statistics)
        #expect(totals.recordsRecorded == UInt64(recorded))
        #expect(totals.recordsSent + totals.recordsDropped == UInt64(recorded) && totals.recordsWaiting == 0)
        // What was not acknowledged may have arrived all the same.
        #expect(UInt64(log.records) >= totals.recordsSent)
        #expect(Set(log.values).count == log.records, "a record is stored twice")
        #expect(log.conflicts == 0)
        #expect(log.frames.count == 1)
        let reported = log.totals.values.first
        #expect(reported.map { $0.recordsSent + $0.recordsDropped } == UInt64(recorded))
        if totals.recordsDropped == 0 { #expect(log.records == recorded) }
        #expect(connections > 2)
        print(
            "recorded \(recorded), acknowledged \(totals.recordsSent), dropped \(totals.recordsDropped), stored "
                + "\(log.records), frames again \(log.duplicates), connections \(connections)")
        print(
            "record(): half of the calls under \(durations.quantile(0.5)) ns, 99.99 % under "
                + "\(durations.quantile(0.9999)) ns, longest \(durations.longest) ns, "
                + "over 1 ms \(durations.overMillisecond) of \(durations.calls), "
                + "in \(durations.waited) of them the thread waited for a lock")
    }
}

/// Checks the totals of a client on a thread of its own.
private final class SumWatcher: Sendable {
    private let isStopping = Atomic(false)
    private let counts = Mutex((checks: 0, mismatches: 0))
    private let thread = Mutex<NamedThread?>(nil)

    init(_ client: MetricsClient) throws {
        let started = try NamedThread(name: "sums") { [self] in
            while !isStopping.load(ordering: .acquiring) {
                let totals = client.statistics
                let sum =
                    totals.recordsSent + totals.recordsDropped + totals.recordsRefused + totals.recordsWaiting
                counts.withLock { counts in
                    counts.checks += 1
                    counts.mismatches += sum == totals.recordsRecorded ? 0 : 1
                }
                usleep(200)
            }
        }
        thread.withLock { $0 = started }
    }

    func finish() -> (checks: Int, mismatches: Int) {
        isStopping.store(true, ordering: .releasing)
        thread.withLock { $0.take() }?.join()
        return counts.withLock { $0 }
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
