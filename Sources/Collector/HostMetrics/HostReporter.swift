// Sends the host's own `system` record through the collector's front door, as any client would: what a newcomer sees first.

import LinuxSystem
import Logging
import SpillwayClient
import Synchronization

/// A thread that samples the host every ten seconds.
final class HostReporter: Sendable {
    static let intervalMilliseconds: Int32 = 10_000
    /// The first interval is short, so that a newcomer sees a row at once; rates need two samples.
    static let firstMilliseconds: Int32 = 1_000
    static let sourceName = "spillway-host"

    private let client: MetricsClient
    private let systemID: String
    private let stopping: WakeEvent
    private let isStopping = Atomic(false)

    /// - Parameter address: one of the collector's own, for example `udp://127.0.0.1:8127`.
    init(address: String, systemID: String) throws {
        client = try MetricsClient(to: address, source: Self.sourceName)
        self.systemID = systemID
        stopping = try WakeEvent()
    }

    func run() {
        var sampler = HostSampler(systemID: systemID)
        var wait = Self.firstMilliseconds
        while !isStopping.load(ordering: .acquiring) {
            stopping.wait(timeoutMilliseconds: wait)
            if isStopping.load(ordering: .acquiring) { break }
            client.record(sampler.sample())
            client.flush()
            wait = Self.intervalMilliseconds
        }
        client.close()
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        stopping.signal()
    }
}
