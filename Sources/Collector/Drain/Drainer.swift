// Takes frames off the ring into batches, and hands full batches to the lanes. It is the ring's only consumer.
//
// When every batch is in use it stops taking: the ring fills, TCP connections wait and UDP counts what it drops.

import Delivery
import FrameCodec
import FrameRing
import LinuxSystem
import Synchronization
import TimescaleStore

/// The thread between the ring and the lanes.
final class Drainer: Sendable {
    /// How often the thread looks at `stop` while it waits for something else, in milliseconds.
    private static let lookMilliseconds = 50

    private let ring: FrameRing
    private let pool: BatchPool
    private let wake: WakeEvent
    private let flushNanoseconds: UInt64
    private let epoch: Int64
    private let isStopping = Atomic(false)

    /// - Parameters:
    ///   - wake: what the ring was told to signal.
    ///   - epoch: random for this start; not negative.
    init(ring: FrameRing, wake: WakeEvent, pool: BatchPool, flushMilliseconds: Int, epoch: Int64) {
        self.ring = ring
        self.wake = wake
        self.pool = pool
        flushNanoseconds = UInt64(flushMilliseconds) * 1_000_000
        self.epoch = epoch
    }

    /// Ends `run` once the ring is empty. Call it when nothing is put into the ring any more.
    func stop() {
        // Pairs with the acquiring load in `run`: what was published before the stop is seen after it.
        isStopping.store(true, ordering: .releasing)
        wake.signal()
    }

    /// Runs until `stop` and an empty ring; then closes the queue of full batches.
    func run() {
        var consumer = ring.takeConsumer()
        var batch: FrameBatch?
        var sequence: Int64 = 0
        while true {
            // Read before the ring is looked at: an empty ring after it is the end.
            let stopping = isStopping.load(ordering: .acquiring)
            guard let open = batch ?? pool.empty.pop(timeoutMilliseconds: Self.lookMilliseconds) else { continue }
            batch = open
            let taken = take(&consumer, into: open)
            let now = monotonicNanoseconds()
            let isDue = !open.isEmpty && (now &- open.openedAt >= flushNanoseconds || stopping && taken == 0)
            if open.isFull || isDue {
                sequence += 1
                open.close(BatchIdentity(epoch: epoch, sequence: sequence))
                let fits = pool.full.push(open, timeoutMilliseconds: 0)
                precondition(fits, "there are only as many batches as the queue has room for")
                batch = nil
            } else if taken == 0 {
                if stopping { break }
                wait(&consumer, until: open.isEmpty ? nil : open.openedAt &+ flushNanoseconds, now: now)
            }
        }
        pool.full.close()
    }

    /// Moves frames from the ring until the batch is full or the ring is empty.
    private func take(_ consumer: inout FrameRing.Consumer, into batch: FrameBatch) -> Int {
        guard !batch.isFull else { return 0 }
        let now = monotonicNanoseconds()
        return consumer.consume(maximumRecords: FrameLimits.recordsPerFrameMax) { (frame, _) -> Bool in
            guard !batch.isFull else { return false }
            let header: FrameHeader
            do throws(FrameError) {
                header = try FrameHeader.read(frame)
            } catch {
                preconditionFailure("only admitted frames are put into the ring: \(error)")
            }
            batch.append(frame, recordCount: header.recordCount, now: now)
            return true
        }
    }

    /// Waits for frames or for the open batch's time to be over.
    private func wait(_ consumer: inout FrameRing.Consumer, until deadline: UInt64?, now: UInt64) {
        guard consumer.prepareToWait() else { return }
        var milliseconds = FrameRing.waitMillisecondsMaximum
        if let deadline {
            milliseconds = min(milliseconds, deadline > now ? Int((deadline - now) / 1_000_000) + 1 : 0)
        }
        if wake.wait(timeoutMilliseconds: Int32(milliseconds)) { wake.consume() }
    }
}
