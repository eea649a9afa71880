// One receiver thread: waits in poll, takes batches, watches the kernel's drops, stops when told to.

import Accounting
import FrameCodec
import FrameRing
import Glibc
import LinuxSystem
import Synchronization

/// What the receivers of a listener share.
struct UDPReceiverContext: Sendable {
    let ring: FrameRing
    let accounting: Accounting
    let log: RefusalLog
    let stopping: StopSignal
    let drainNanoseconds: UInt64
}

/// Tells receivers to stop: a descriptor for those that wait and a flag for those that are busy.
final class StopSignal: Sendable {
    let event: WakeEvent
    private let flag = Atomic<Bool>(false)

    init() throws(SystemCallError) { event = try WakeEvent() }

    /// Relaxed: the flag hands nothing on. It is a hint; the event is what surely wakes.
    var isSet: Bool { flag.load(ordering: .relaxed) }

    /// The event is never consumed, so that every receiver sees it.
    func set() {
        flag.store(true, ordering: .relaxed)
        event.signal()
    }
}

/// Receives from one socket. Lives and dies on its thread.
struct UDPReceiver: ~Copyable {
    /// How often the kernel is asked for its drops, at least.
    static let dropPollMilliseconds: Int32 = 500
    /// After an error that is not the senders' doing: long enough not to spin.
    private static let retryMilliseconds: Int32 = 100

    private let socket: UDPSocket
    private let context: UDPReceiverContext
    private var batch: DatagramBatch
    private var intake: DatagramIntake
    private var drops = DropCounter()
    private var nextDropPollNanoseconds: UInt64 = 0

    init(socket: consuming UDPSocket, context: UDPReceiverContext) throws(SystemCallError) {
        self.socket = socket
        self.context = context
        batch = try DatagramBatch()
        intake = DatagramIntake(
            ring: context.ring, accounting: context.accounting, log: context.log)
    }

    /// Receives until the stop signal, then what the kernel still holds.
    mutating func run() {
        while !context.stopping.isSet {
            pollDropsIfDue()
            if takeBatch() == .empty { waitForDatagrams() }
        }
        drain()
    }

    private enum Taken { case some, empty }

    private mutating func takeBatch() -> Taken {
        do throws(SystemCallError) {
            try batch.receive(from: socket.descriptor)
        } catch {
            context.log.receiveFailed(error)
            _ = context.stopping.event.wait(timeoutMilliseconds: Self.retryMilliseconds)
            return .empty
        }
        guard batch.count > 0 else { return .empty }
        // The total only grows, so the last datagram's is the newest.
        if let reading = batch.datagram(at: batch.count - 1).drops { countDrops(reading) }
        intake.take(batch, nowMicroseconds: wallClockMicroseconds())
        // A batch that is not full has emptied the socket: waiting costs one call, asking in vain would cost two.
        return batch.count == DatagramBatch.datagramsMax ? .some : .empty
    }

    private func waitForDatagrams() {
        var entries = (
            pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: context.stopping.event.descriptor, events: Int16(POLLIN), revents: 0)
        )
        withUnsafeMutableBytes(of: &entries) { bytes in
            let list = bytes.assumingMemoryBound(to: pollfd.self)
            // Interrupted or not: whoever waits here looks again at everything.
            _ = poll(list.baseAddress, nfds_t(list.count), Self.dropPollMilliseconds)
        }
    }

    private mutating func pollDropsIfDue() {
        let now = monotonicNanoseconds()
        guard now >= nextDropPollNanoseconds else { return }
        nextDropPollNanoseconds = now &+ UInt64(Self.dropPollMilliseconds) * 1_000_000
        pollDrops()
    }

    private mutating func pollDrops() {
        do throws(SystemCallError) {
            countDrops(try socket.drops())
        } catch {
            context.log.receiveFailed(error)
        }
    }

    private mutating func countDrops(_ reading: UInt32) {
        context.accounting.count(drops.observe(reading), as: .kernelDrops)
    }

    /// Reads the socket empty. What arrives meanwhile the kernel drops and counts, so this ends however busy the
    /// senders are, and nothing between the last read and the close is lost unseen.
    private mutating func drain() {
        do throws(SystemCallError) {
            try socket.refuseArrivals()
        } catch {
            context.log.receiveFailed(error)
        }
        let deadline = monotonicNanoseconds() &+ context.drainNanoseconds
        repeat {
            do throws(SystemCallError) {
                try batch.receive(from: socket.descriptor)
            } catch {
                context.log.receiveFailed(error)
                break
            }
            intake.take(batch, nowMicroseconds: wallClockMicroseconds())
        } while batch.count > 0 && monotonicNanoseconds() < deadline
        pollDrops()
    }
}
