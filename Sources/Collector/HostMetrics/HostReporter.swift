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

    private let door: Door
    private let systemID: String
    private let log: Logger
    private let stopping: WakeEvent
    private let isStopping = Atomic(false)

    /// How a record gets in.
    private enum Door: Sendable {
        case udp(MetricsClient)
        case tcp(CollectorAddress, SourceIdentity)
    }

    /// - Parameter address: one of the collector's own, for example `udp://127.0.0.1:8127`.
    init(address text: String, systemID: String, log: Logger) throws {
        let address = try CollectorAddress(text)
        let identity = SourceIdentity(name: Self.sourceName)
        door =
            switch address.transport {
            case .udp: .udp(try MetricsClient(to: address, identity: identity, options: MetricsClientOptions()))
            case .tcp: .tcp(address, identity)
            }
        self.systemID = systemID
        self.log = log
        stopping = try WakeEvent()
    }

    func run() {
        var sampler = HostSampler(systemID: systemID)
        var totals = SendStatistics()
        var wait = Self.firstMilliseconds
        while !isStopping.load(ordering: .acquiring) {
            stopping.wait(timeoutMilliseconds: wait)
            if isStopping.load(ordering: .acquiring) { break }
            send(sampler.sample(), &totals)
            wait = Self.intervalMilliseconds
        }
        if case .udp(let client) = door { client.close() }
    }

    /// - Parameter totals: what this session has sent over TCP.
    private func send(_ record: SystemRecord, _ totals: inout SendStatistics) {
        switch door {
        case .udp(let client):
            client.record(record)
            client.flush()
        case .tcp(let address, let identity):
            do {
                var encoder = FrameEncoder()
                guard try encoder.append(record) else { preconditionFailure("an empty frame takes any record") }
                var transport = try TCPTransport(to: address)
                // A number that was used is not used again, whatever becomes of its frame.
                totals.frames += 1
                totals.records += 1
                let frameIdentity = identity.frame(sequence: totals.frames)
                _ = try encoder.finish(frameIdentity) { (frame) throws(ClientError) in
                    totals.bytes += UInt64(frame.byteCount)
                    try transport.write(frame, frameCount: 1, recordCount: 1)
                }
                let heartbeat = HeartbeatFrame(
                    framesSent: totals.frames, recordsSent: totals.records, bytesSent: totals.bytes,
                    recordsDropped: 0, name: identity.name
                ).encoded(frameIdentity, baseTime: Timestamp.now)
                try transport.write(
                    heartbeat.span.bytes, frameCount: 0, recordCount: 0, controlBytes: heartbeat.count)
                try transport.finishWriting()
                while try transport.nextReply() != nil {}
            } catch {
                log.debug("the host's own record was not sent: \(error)")
            }
        }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        stopping.signal()
    }
}
