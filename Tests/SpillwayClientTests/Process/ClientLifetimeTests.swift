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
        // One at once, one each second, one at the end.
        #expect(log.heartbeats <= Int(seconds) + 2)
        #expect(log.heartbeats >= 2)
    }
}

/// In a process of its own: with each limit of descriptors, from none to enough.
enum DescriptorScenario {
    private static func count(_ folder: String) -> Int {
        guard let directory = opendir(folder) else { return -1 }
        defer { closedir(directory) }
        var entries = 0
        while readdir(directory) != nil { entries += 1 }
        return entries
    }

    static func run() throws {
        let collector = try MemoryCollector()
        // Whatever is made once for the process is made now.
        try MetricsClient(
            to: collector.address, identity: SourceIdentity(name: "test"), options: MetricsClientOptions()
        ).close()
        var before = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
        var failures = 0
        for address in [collector.address, collector.udp] {
            for extra in 0..<10 {
                // A connection of the client before has ended at both ends.
                usleep(100_000)
                let (descriptors, threads) = (count("/proc/self/fd"), count("/proc/self/task"))
                var limit = before
                // The count has the folder itself, and `.` and `..`.
                limit.rlim_cur = rlim_t(descriptors - 3 + extra)
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
                let isClean = eventually(withinMilliseconds: 5_000) {
                    count("/proc/self/fd") == descriptors && count("/proc/self/task") == threads
                }
                precondition(isClean, "with \(extra) descriptors: \(count("/proc/self/fd")) of \(descriptors)")
            }
        }
        precondition(failures >= 4)
        _ = collector.stop()
    }
}
