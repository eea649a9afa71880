// What a client runs in one process: its buffer, and the threads that flush and deliver. The threads hold the engine, not the client,
// and end by themselves after `stop`: releasing a client never waits.
//
// Limits: two threads; from `stop` on they end within `MetricsClientOptions.closeTimeoutSeconds` and one step.

import Glibc
import LinuxSystem
import Synchronization

final class ClientEngine: Sendable {
    /// What all engines of a client have in common.
    struct Plan: Sendable {
        let address: CollectorAddress
        let options: MetricsClientOptions
        let heartbeatMilliseconds: Int
        let resolver: HostResolver
        /// As they were when the client was made: for datagrams, since each TCP connection finds its own.
        let addresses: Result<[HostAddress], ClientError>
    }

    let buffer: RecordBuffer
    /// That of the process in which it was made.
    let forkCount: Int
    private let plan: Plan
    private let delivery: BackgroundDelivery?
    /// Wakes the flushing thread: to stop, or to replace a socket.
    private let wake: WakeEvent?
    /// Readable for ever once both threads are done.
    private let ended: WakeEvent?
    private let isStopping = Atomic(false)

    /// A burst of datagrams can fill the receiver's buffer, and the last heartbeat would be lost: it is sent again after this time.
    private static let lastHeartbeatMicroseconds: UInt32 = 20_000

    /// - Throws: when the kernel has no room for a descriptor or a thread. Then nothing is left over.
    init(_ plan: Plan, identity: SourceIdentity, forkCount: Int) throws(SystemCallError) {
        _ = ForkRehearsal.once
        self.plan = plan
        self.forkCount = forkCount
        // All descriptors before the first thread, so that one that cannot be had leaves no thread without an owner.
        let wake = try WakeEvent()
        let ended = try WakeEvent()
        self.wake = wake
        self.ended = ended
        switch plan.address.transport {
        case .udp:
            delivery = nil
            let datagrams = UDPTransport(
                to: plan.address, candidates: plan.addresses, batchSize: RecordBuffer.datagramsTogether,
                reopening: wake)
            buffer = RecordBuffer(transport: .datagrams(datagrams), identity: identity, options: plan.options)
        case .tcp:
            let delivery = try BackgroundDelivery(
                noRoom: .noRoom(plan.address, bytes: plan.options.unacknowledgedBytesMax))
            self.delivery = delivery
            buffer = RecordBuffer(transport: .stream(delivery), identity: identity, options: plan.options)
        }
        try startThreads(identity)
    }

    /// One that drops and counts every record.
    init(dropping plan: Plan, identity: SourceIdentity, forkCount: Int, because error: ClientError?) {
        self.plan = plan
        self.forkCount = forkCount
        delivery = nil
        wake = nil
        ended = nil
        buffer = RecordBuffer(transport: .none(error), identity: identity, options: plan.options)
        buffer.close()
    }

    private func startThreads(_ identity: SourceIdentity) throws(SystemCallError) {
        if let delivery {
            let plan = plan
            try NamedThread(name: "metrics-send") {
                delivery.run(
                    AcknowledgedSender(
                        to: plan.address, identity: identity,
                        bytesMax: max(plan.options.unacknowledgedBytesMax, FrameLimits.frameBytesMax),
                        timeoutMilliseconds: nil, heartbeatMilliseconds: plan.heartbeatMilliseconds,
                        resolver: plan.resolver))
            }.detach()
        }
        do throws(SystemCallError) {
            try NamedThread(name: "metrics-flush") { self.runFlusher() }.detach()
        } catch {
            delivery?.stop(withinMilliseconds: 0)
            throw error
        }
    }

    // MARK: The end

    /// Has the threads send what waits and end. Does not wait for that.
    func stop() {
        // Pairs with the acquiring load in `runFlusher`.
        isStopping.store(true, ordering: .releasing)
        wake?.signal()
    }

    /// The same, and waits. Any number of threads may call it.
    func close() {
        stop()
        ended?.wait(timeoutMilliseconds: -1)
    }

    // MARK: The flushing thread

    private func runFlusher() {
        let interval = plan.options.flushNanoseconds
        var nextFlush = monotonicNanoseconds() &+ interval
        var refresh = AddressRefresh(of: plan.address, by: plan.resolver, isNeeded: buffer.needsReopening)
        while !isStopping.load(ordering: .acquiring) {
            wait(untilNanoseconds: min(nextFlush, refresh.nextNanoseconds))
            let now = monotonicNanoseconds()
            if now >= nextFlush {
                buffer.flush(withHeartbeat: true)
                nextFlush = now &+ interval
            }
            refresh.advance(buffer, nowNanoseconds: now)
        }
        buffer.close()
        if plan.address.transport == .udp {
            usleep(Self.lastHeartbeatMicroseconds)
            buffer.repeatHeartbeat()
        }
        if let delivery {
            delivery.stop(withinMilliseconds: plan.options.closeMilliseconds)
            delivery.waitUntilEnded()
        }
        ended?.signal()
    }

    private func wait(untilNanoseconds next: UInt64) {
        let now = monotonicNanoseconds()
        guard next > now else { return }
        if wake?.wait(timeoutMilliseconds: Int32(clamping: (next - now) / 1_000_000 + 1)) == true { wake?.consume() }
    }
}
