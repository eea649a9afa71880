// A process that comes from `fork` sends under a session of its own, and what waited in its parent is sent once.

import Glibc
import LinuxSystem
import Testing

@testable import SpillwayClient

/// Each test forks in a process that it has for itself.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ForkTests {
    @Test func recordsOfChildrenArriveOverUDP() async {
        await #expect(processExitsWith: .success) { try ForkScenario.run(overTCP: false, children: 3) }
    }

    @Test func recordsOfChildrenArriveOverTCP() async {
        await #expect(processExitsWith: .success) { try ForkScenario.run(overTCP: true, children: 3) }
    }

    @Test(.enabled(if: isTorture)) func recordsOfManyChildrenArrive() async {
        await #expect(processExitsWith: .success) { try ForkScenario.run(overTCP: true, children: 300) }
    }
}

/// Where the Swift runtime puts the metadata of the next generic type: a pool that it shows to debuggers.
private enum RuntimeMetadata {
    /// Nil where the runtime does not show it.
    static var end: UInt? {
        guard let symbol = dlsym(UnsafeMutableRawPointer(bitPattern: 0), "_swift_debug_allocationPoolPointer") else {
            return nil
        }
        // A pointer to the pool, whose first word is the place.
        return symbol.load(as: UnsafePointer<UInt>.self).pointee
    }
}

enum ForkScenario {
    private static let recordsPerChild = 50

    private static func record(_ values: Range<Int>, to client: MetricsClient) {
        for value in values { client.record(PointRecord(time: 1, metricName: "m", value: Double(value))) }
    }

    /// The parent records before, between and after its forks; each child has a child of its own.
    static func run(overTCP: Bool, children: Int) throws {
        // A process that hangs ends, and fails.
        alarm(100)
        // The library of the tests looks at every error that is thrown.
        do throws(ClientError) { try raise(ClientError.timedOut("rehearsal", milliseconds: 0)) } catch {}
        do throws(SystemCallError) { try raise(SystemCallError(call: "rehearsal", code: 0)) } catch {}
        guard RuntimeMetadata.end != nil else { fail("the runtime shows no pool of metadata") }
        let collector = try MemoryCollector()
        let client = try MetricsClient(
            to: overTCP ? collector.address : collector.udp, identity: SourceIdentity(name: "test"),
            options: MetricsClientOptions(flushIntervalSeconds: 0.05, closeTimeoutSeconds: 20))
        var expected: [Double] = []
        for child in 0..<children {
            let base = child * 1_000
            // Waits in the buffer when the process forks.
            record(base..<base + 10, to: client)
            expected += (base..<base + 10).map(Double.init)
            let values = base + 100..<base + 100 + recordsPerChild
            let process = fork()
            if process == 0 { runChild(client, values, hasChild: true) }
            expected += values.map(Double.init) + values.map { Double($0 + 100) }
            record(base + 10..<base + 20, to: client)
            expected += (base + 10..<base + 20).map(Double.init)
            try waitForChild(process)
        }
        client.close()
        guard client.statistics.recordsRecorded == UInt64(children * 20) else { fail("\(client.statistics)") }
        _ = eventually(withinMilliseconds: 5_000) { collector.log.records >= expected.count }
        let log = collector.stop()
        guard log.values.sorted() == expected.sorted() else {
            fail("stored \(log.records) of \(expected.count) records")
        }
        guard log.conflicts == 0, log.frames.count == 1 + 2 * children else {
            fail("\(log.conflicts) conflicts in \(log.frames.count) sessions")
        }
        let sent = log.totals.values.reduce(0) { $0 + $1.recordsSent }
        guard sent == UInt64(expected.count) else { fail("heartbeats report \(sent) records") }
    }

    @inline(never)
    private static func raise<Failure: Error>(_ error: Failure) throws(Failure) { throw error }

    private static func runChild(_ client: MetricsClient, _ values: Range<Int>, hasChild: Bool) -> Never {
        // Alarms are not inherited.
        alarm(25)
        let metadata = RuntimeMetadata.end
        record(values, to: client)
        if hasChild {
            let process = fork()
            if process == 0 {
                runChild(client, values.lowerBound + 100..<values.upperBound + 100, hasChild: false)
            }
            do { try waitForChild(process) } catch { fail("\(error)") }
        }
        client.close()
        let totals = client.statistics
        guard totals.recordsRecorded == UInt64(values.count), totals.recordsSent == UInt64(values.count) else {
            fail("child: \(totals)")
        }
        // Another thread of the parent may have held the runtime's lock when it forked.
        guard RuntimeMetadata.end == metadata else { fail("a child made metadata of a generic type") }
        _exit(0)
    }

    private static func waitForChild(_ process: pid_t) throws {
        var status: Int32 = 0
        let hasEnded = eventually(withinMilliseconds: 30_000) { waitpid(process, &status, WNOHANG) == process }
        if !hasEnded { kill(process, SIGKILL) }
        guard hasEnded, status == 0 else { fail("a child did not end well: \(status)") }
    }

    private static func fail(_ text: String) -> Never {
        let line = Array((text + "\n").utf8)
        _ = write(STDERR_FILENO, line, line.count)
        _exit(1)
    }
}
