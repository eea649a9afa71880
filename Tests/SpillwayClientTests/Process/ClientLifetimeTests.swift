// What a client leaves when it is released, closed twice or cannot be made.

import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import SpillwayClient

@Suite(.serialized, .timeLimit(.minutes(2))) struct ClientLifetimeTests {
    private func record(_ count: Int, to client: MetricsClient?) {
        for value in 0..<count { client?.record(PointRecord(time: 1, metricName: "m", value: Double(value))) }
    }

    @Test func releasingTheLastReferenceDoesNotWait() throws {
        let full = try FullListener()
        var client: MetricsClient? = try MetricsClient(
            to: "tcp://127.0.0.1:\(full.port)", source: "test",
            options: MetricsClientOptions(closeTimeoutSeconds: 10))
        record(100, to: client)
        let start = monotonicNanoseconds()
        client = nil
        let seconds = Double(monotonicNanoseconds() - start) / 1e9
        print("released in \(seconds) s")
        // A tenth of what it may take to close.
        #expect(seconds < 1)
    }

    @Test(arguments: [true, false]) func aReleasedClientStillDelivers(overTCP: Bool) throws {
        let collector = try MemoryCollector()
        var client: MetricsClient? = try MetricsClient(
            to: overTCP ? collector.address : collector.udp, identity: SourceIdentity(name: "test"),
            options: MetricsClientOptions())
        record(100, to: client)
        client = nil
        #expect(eventually { collector.log.records == 100 && collector.log.totals.values.first?.recordsSent == 100 })
        _ = collector.stop()
    }

    @Test func everyThreadThatClosesWaits() throws {
        let full = try FullListener()
        let client = try MetricsClient(
            to: "tcp://127.0.0.1:\(full.port)", source: "test",
            options: MetricsClientOptions(closeTimeoutSeconds: 1))
        record(100, to: client)
        let waiting = Mutex<[UInt64]>([])
        let threads = try (0..<4).map { _ in
            try NamedThread(name: "closer") {
                client.close()
                let left = client.statistics.recordsWaiting
                waiting.withLock { $0.append(left) }
            }
        }
        for thread in threads { thread.join() }
        #expect(waiting.withLock { $0 } == [0, 0, 0, 0])
        #expect(client.statistics.recordsDropped == 100)
    }

    @Test func aClientThatCannotBeMadeLeavesNothing() async {
        await #expect(processExitsWith: .success) { try DescriptorScenario.run() }
    }

    @Test func flushesSendOneHeartbeatASecond() throws {
        let collector = try MemoryCollector()
        let client = try MetricsClient(
            to: collector.udp, identity: SourceIdentity(name: "test"),
            options: MetricsClientOptions(flushIntervalSeconds: 0.005))
        let start = monotonicNanoseconds()
        while monotonicNanoseconds() - start < 1_500_000_000 {
            record(1, to: client)
            usleep(5_000)
        }
        client.close()
        usleep(100_000)
        let seconds = Double(monotonicNanoseconds() - start) / 1e9
        let log = collector.stop()
        // One at once, one each second, and that of the end twice.
        #expect(log.heartbeats <= Int(seconds) + 3)
        #expect(log.heartbeats >= 2)
    }
}

/// In a process of its own: with each limit of descriptors, from none to enough.
enum DescriptorScenario {
    private static func names(_ folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if Int(name) != nil { names.append(name) }
        }
        return names
    }

    /// Uses every free number below the highest descriptor, as a limit is one on numbers.
    ///
    /// - Returns: the number that the next descriptor gets.
    private static func fillNumbers() -> Int32 {
        let highest = names("/proc/self/fd").compactMap { Int32($0) }.max() ?? 0
        while true {
            let next = dup(0)
            guard next >= 0, next < highest else {
                close(next)
                return max(next, 0)
            }
        }
    }

    static func run() throws {
        let collector = try MemoryCollector()
        // Whatever is made once for the process is made now.
        let first = try MetricsClient(
            to: collector.address, identity: SourceIdentity(name: "test"), options: MetricsClientOptions())
        first.close()
        usleep(300_000)
        let next = fillNumbers()
        let (descriptors, threads) = (names("/proc/self/fd").count, names("/proc/self/task").count)
        var before = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
        var failures = 0
        for address in [collector.address, collector.udp] {
            for extra in 0..<10 {
                var limit = before
                limit.rlim_cur = rlim_t(Int(next) + extra)
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                var client: MetricsClient?
                do throws(ClientError) {
                    client = try MetricsClient(
                        to: address, identity: SourceIdentity(name: "test"), options: MetricsClientOptions())
                } catch {
                    failures += 1
                }
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
                client?.close()
                client = nil
                let isClean = eventually(withinMilliseconds: 10_000) {
                    names("/proc/self/fd").count == descriptors && names("/proc/self/task").count == threads
                }
                precondition(isClean, "with \(extra) descriptors something is left over")
            }
        }
        precondition(failures >= 4, "only \(failures) clients could not be made")
        _ = collector.stop()
    }
}
