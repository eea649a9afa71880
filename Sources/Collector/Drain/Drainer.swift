// Takes frames off the ring into batches, and closes them. It is the ring's only consumer.
//
// It waits for no database: a closed batch goes to a lane or to the spill. Only when every batch in memory is in use, which
// takes a database that is away and a disk that is full, it stops taking: the ring fills, TCP connections wait and UDP
// counts what it drops.

import Delivery
import FrameCodec
import FrameRing
import LinuxSystem
import Listeners
import Synchronization

/// The thread between the ring and the lanes.
final class Drainer: Sendable {
    /// How often the thread looks at `stop` while it waits for something else, in milliseconds.
    private static let lookMilliseconds = 50

    private let ring: FrameRing
    private let hub: DeliveryHub
    private let wake: WakeEvent
    private let flushNanoseconds: UInt64
    private let isStopping = Atomic(false)

    /// - Parameter wake: what the ring was told to signal.
    init(ring: FrameRing, wake: WakeEvent, hub: DeliveryHub, flushMilliseconds: Int) {
        self.ring = ring
        self.wake = wake
        self.hub = hub
        flushNanoseconds = UInt64(flushMilliseconds) * 1_000_000
    }

    /// Ends `run` once the ring is empty. Call it when nothing is put into the ring any more.
    func stop() {
        // Pairs with the acquiring load in `run`: what was published before the stop is seen after it.
        isStopping.store(true, ordering: .releasing)
        wake.signal()
    }

    /// Runs until `stop` and an empty ring.
    func run() {
        var consumer = ring.takeConsumer()
        var open: (slot: BatchSlot, batch: FrameBatch)?
        var sequence: Int64 = 0
        while true {
            // Read before the ring is looked at: an empty ring after it is the end.
            let stopping = isStopping.load(ordering: .acquiring)
            guard let (slot, batch) = open ?? hub.openBatch(timeoutMilliseconds: Self.lookMilliseconds) else {
                if hub.isAbandoned { return drop(&consumer) }
                continue
            }
            open = (slot, batch)
            let taken = take(&consumer, into: batch)
            let now = monotonicNanoseconds()
            let isDue = !batch.isEmpty && (now &- batch.openedAt >= flushNanoseconds || stopping && taken == 0)
            if batch.isFull || isDue || batch.isWorthwhile && hub.hasFreeLane {
                sequence += 1
                hub.close(slot, sequence: sequence)
                open = nil
            } else if taken == 0 {
                if stopping {
                    hub.giveBack(slot)
                    return
                }
                wait(&consumer, until: batch.isEmpty ? nil : batch.openedAt &+ flushNanoseconds, now: now)
            }
        }
    }

    /// Moves frames from the ring until the batch is full or the ring is empty.
    private func take(_ consumer: inout FrameRing.Consumer, into batch: FrameBatch) -> Int {
        guard !batch.isFull else { return 0 }
        let now = monotonicNanoseconds()
        let wall = wallClockMicroseconds()
        return consumer.consume(maximumRecords: FrameLimits.recordsPerFrameMax) { (frame, tag) -> Bool in
            guard !batch.isFull else { return false }
            batch.append(
                frame, Self.header(frame), isAcknowledged: tag == FrameTag.acknowledged, now: now,
                wallMicroseconds: wall)
            return true
        }
    }

    /// The stop has run out of time and nothing takes a batch: what the ring holds is lost, and counted.
    private func drop(_ consumer: inout FrameRing.Consumer) {
        while consumer.consume(
            maximumRecords: FrameLimits.recordsPerFrameMax,
            { (frame, _) -> Bool in
                hub.lost(Self.header(frame))
                return true
            }) > 0
        {}
    }

    private static func header(_ frame: RawSpan) -> FrameHeader {
        do throws(FrameError) {
            return try FrameHeader.read(frame)
        } catch {
            preconditionFailure("only admitted frames are put into the ring: \(error)")
        }
    }

    /// Waits for frames or for the open batch's time to be over.
    private func wait(_ consumer: inout FrameRing.Consumer, until deadline: UInt64?, now: UInt64) {
        guard var milliseconds = consumer.prepareToWait() else { return }
        if let deadline {
            milliseconds = min(milliseconds, deadline > now ? Int((deadline - now) / 1_000_000) + 1 : 0)
        }
        if wake.wait(timeoutMilliseconds: Int32(milliseconds)) { wake.consume() }
    }
}
