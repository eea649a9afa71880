// Takes frames off the ring into batches, and closes them. It is the ring's only consumer.
//
// It waits for no database: a closed batch goes to a lane or to the spill. Only when every batch in memory is in use, which
// takes a database that is away and a disk that is full, it stops taking: the ring fills, TCP connections wait and UDP
// counts what it drops.

import Delivery
import FrameCodec
import FrameRing
import LinuxSystem
import Synchronization

/// The thread between the ring and the lanes.
package final class Drainer: Sendable {
    private let ring: FrameRing
    private let coordinator: DeliveryCoordinator
    private let wake: WakeEvent
    private let flushMilliseconds: Int
    private let isStopping = Atomic(false)

    /// - Parameter wake: what the ring signals.
    package init(ring: FrameRing, wake: WakeEvent, coordinator: DeliveryCoordinator, flushMilliseconds: Int) {
        self.ring = ring
        self.wake = wake
        self.coordinator = coordinator
        self.flushMilliseconds = flushMilliseconds
    }

    /// Ends `run` once the ring is empty. Call it when nothing is put into the ring any more.
    package func stop() {
        // Pairs with the acquiring load in `run`: what was published before the stop is seen after it.
        isStopping.store(true, ordering: .releasing)
        wake.signal()
    }

    /// Runs until `stop` and an empty ring.
    package func run() {
        var steps = DrainSteps(ring: ring, coordinator: coordinator, flushMilliseconds: flushMilliseconds)
        while true {
            // Read before the ring is checked: an empty ring after it is the end.
            let stopping = isStopping.load(ordering: .acquiring)
            switch steps.step(isStopping: stopping) {
            case .goOn: continue
            case .wait(let milliseconds):
                if wake.wait(timeoutMilliseconds: milliseconds) { wake.consume() }
            case .ended: return
            }
        }
    }
}

/// The drainer's work, a step for each call. Used by one thread.
package struct DrainSteps: ~Copyable {
    /// What to do after a step.
    package enum Outcome {
        case goOn
        /// Nothing is to be done until the ring has frames or this time has passed.
        case wait(milliseconds: Int32)
        /// The ring is empty and all of it is in closed batches, or the stop has no more time.
        case ended
    }

    /// How long a step waits for a batch that is free, in milliseconds.
    private static let pollMilliseconds = 50

    private var consumer: FrameRing.Consumer
    private let coordinator: DeliveryCoordinator
    private let flushNanoseconds: UInt64
    private let clock: Clock
    private let pollMilliseconds: Int
    private var open: (slot: BatchSlot, batch: FrameBatch)?
    private var sequence: Int64 = 0

    /// - Parameter pollMilliseconds: how long a step waits for a batch that is free.
    package init(
        ring: FrameRing, coordinator: DeliveryCoordinator, flushMilliseconds: Int, clock: Clock = .system,
        pollMilliseconds: Int = DrainSteps.pollMilliseconds
    ) {
        consumer = ring.takeConsumer()
        self.coordinator = coordinator
        flushNanoseconds = UInt64(flushMilliseconds) * 1_000_000
        self.clock = clock
        self.pollMilliseconds = pollMilliseconds
    }

    /// Whether no frame is in a batch that is still filled.
    package var isIdle: Bool { open?.batch.isEmpty ?? true }

    /// - Parameter isStopping: nothing was put into the ring since this was known.
    package mutating func step(isStopping: Bool) -> Outcome {
        guard let (slot, batch) = open ?? coordinator.openBatch(timeoutMilliseconds: pollMilliseconds) else {
            guard coordinator.isAbandoned else { return .goOn }
            drop()
            return .ended
        }
        open = (slot, batch)
        let taken = take(into: batch)
        let now = clock.nanoseconds()
        let isDue = !batch.isEmpty && (now &- batch.openedAt >= flushNanoseconds || isStopping && taken == 0)
        if batch.isFull || isDue || batch.isWorthwhile && coordinator.hasFreeLane {
            sequence += 1
            coordinator.close(slot, sequence: sequence)
            open = nil
        } else if taken == 0 {
            if isStopping {
                coordinator.giveBack(slot)
                open = nil
                return .ended
            }
            return wait(until: batch.isEmpty ? nil : batch.openedAt &+ flushNanoseconds, now: now)
        }
        return .goOn
    }

    /// Moves frames from the ring until the batch is full or the ring is empty.
    private mutating func take(into batch: FrameBatch) -> Int {
        guard !batch.isFull else { return 0 }
        let now = clock.nanoseconds()
        let wall = clock.wallMicroseconds()
        return consumer.consume(maximumRecords: FrameLimits.recordsPerFrameMax) { (frame, tag) -> Bool in
            guard !batch.isFull else { return false }
            batch.append(
                frame, Self.header(frame), isAcknowledged: FrameTag.isAcknowledged(tag), now: now,
                wallMicroseconds: wall)
            return true
        }
    }

    /// The stop has run out of time and nothing takes a batch: what the ring holds is lost, and counted.
    private mutating func drop() {
        let coordinator = coordinator
        while consumer.consume(
            maximumRecords: FrameLimits.recordsPerFrameMax,
            { (frame, _) -> Bool in
                coordinator.lost(Self.header(frame))
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

    /// Waits for frames or for the end of the open batch's time.
    private mutating func wait(until deadline: UInt64?, now: UInt64) -> Outcome {
        guard var milliseconds = consumer.prepareToWait() else { return .goOn }
        if let deadline {
            milliseconds = min(milliseconds, deadline > now ? Int((deadline - now) / 1_000_000) + 1 : 0)
        }
        return .wait(milliseconds: Int32(milliseconds))
    }
}
