// Writes batches to the spill and removes segments of which nothing is needed any more.
//
// A group of batches is appended and then made durable by one sync; only then is anybody told. When the disk refuses, the
// segment is given up and the batches are written again to another one, or stored by a lane that is free meanwhile.

import Delivery
import Glibc
import LinuxSystem
import Logging
import SpillLog

/// The spill's only writer. `run` is the body of its thread.
final class SpillThread: Sendable {
    /// Batches that one sync makes durable.
    static let groupMax = 4
    private static let lookMilliseconds = 500
    /// A segment whose batches are all settled stays open for so long, in case more come.
    private static let idleNanoseconds: UInt64 = 1_000_000_000
    private static let removalNanoseconds: UInt64 = 500_000_000
    private static let retryNanoseconds: UInt64 = 250_000_000
    private static let logEveryNanoseconds: UInt64 = 10_000_000_000

    private let hub: DeliveryHub
    private let directory: SpillDirectory
    private let limits: SpillLimits
    private let found: [SegmentName: UInt64]
    private let log: Logger

    /// - Parameter found: the segments that an earlier run left, and their bytes.
    init(
        hub: DeliveryHub, directory: SpillDirectory, limits: SpillLimits, found: [SegmentName: UInt64], log: Logger
    ) {
        self.hub = hub
        self.directory = directory
        self.limits = limits
        self.found = found
        self.log = log
    }

    private struct Rounds {
        var lastWrite: UInt64 = 0
        var nextLog: UInt64 = 0
        var nextRemoval: UInt64 = 0
        var isBlocked = false
    }

    /// Runs until the hub is over and nothing is left to write.
    func run() {
        var writer = SpillWriter(
            fileSystem: directory.fileSystem, directoryID: directory.directoryID,
            epoch: UInt64(bitPattern: hub.epoch), limits: limits, found: found)
        var rounds = Rounds()
        while true {
            let isOver = hub.isOver
            let slots = hub.spillWork(max: Self.groupMax, timeoutMilliseconds: Self.lookMilliseconds)
            if slots.isEmpty {
                endIdleSegment(&writer, lastWrite: rounds.lastWrite, isOver: isOver)
            } else {
                write(slots, &writer, &rounds)
            }
            let now = monotonicNanoseconds()
            if now >= rounds.nextRemoval || isOver { removeSettled(&writer, &rounds, now: now) }
            if isOver, slots.isEmpty { return }
        }
    }

    private func write(_ slots: [BatchSlot], _ writer: inout SpillWriter, _ rounds: inout Rounds) {
        var written: [(slot: BatchSlot, batch: SpilledBatch)] = []
        var failure: SpillError?
        do throws(SpillError) {
            for slot in slots {
                written.append((slot, try append(slot, &writer)))
            }
        } catch {
            failure = error
        }
        // What was written before the quota was reached is made durable; after any other failure nothing is known.
        let isQuota = if case .quotaReached? = failure { true } else { false }
        if failure == nil || isQuota {
            do throws(SpillError) { try writer.sync() } catch {
                failure = error
                written = []
            }
        } else {
            written = []
        }
        if let failure, !failure.isQuota {
            if let name = writer.abandonSegment() { hub.segmentEnded(name) }
        }
        for name in writer.takeEndedSegments() { hub.segmentEnded(name) }
        if !written.isEmpty {
            hub.spilled(written)
            rounds.lastWrite = monotonicNanoseconds()
        }
        let rest = Array(slots.dropFirst(written.count))
        guard let failure else {
            if rounds.isBlocked { log.notice("the spill takes batches again") }
            rounds.isBlocked = false
            return
        }
        let now = monotonicNanoseconds()
        hub.spillFailed(rest, reason: "\(failure)", retryAt: now &+ Self.retryNanoseconds)
        if !rounds.isBlocked || now >= rounds.nextLog {
            rounds.nextLog = now &+ Self.logEveryNanoseconds
            log.error(
                "the spill takes nothing: TCP waits, and UDP drops what finds no room",
                metadata: [
                    "error": "\(failure)"
                ])
        }
        rounds.isBlocked = true
    }

    private func append(_ slot: BatchSlot, _ writer: inout SpillWriter) throws(SpillError) -> SpilledBatch {
        let summary = hub.summary(slot)
        return try hub.batch(slot).withFrames { (frames) throws(SpillError) in
            try writer.append(summary, frames: frames, nowMicroseconds: wallClockMicroseconds())
        }
    }

    /// Ends a segment that has been idle.
    private func endIdleSegment(_ writer: inout SpillWriter, lastWrite: UInt64, isOver: Bool) {
        let now = monotonicNanoseconds()
        if let current = writer.currentSegment, isOver || isIdle(current, now, lastWrite) {
            do throws(SpillError) {
                if let name = try writer.endSegment() { hub.segmentEnded(name) }
            } catch {
                if let name = writer.abandonSegment() { hub.segmentEnded(name) }
                log.warning("a segment could not be ended in order: \(error)")
            }
        }
    }

    /// Removes segments of which nothing is needed, also while batches keep coming.
    private func removeSettled(_ writer: inout SpillWriter, _ rounds: inout Rounds, now: UInt64) {
        rounds.nextRemoval = now &+ Self.removalNanoseconds
        for (name, keepInQuarantine) in hub.takeSettledSegments() {
            do throws(SpillError) {
                try writer.remove(name, keepInQuarantine: keepInQuarantine)
            } catch {
                hub.removalFailed(name, keepInQuarantine: keepInQuarantine)
                rounds.nextRemoval = now &+ Self.idleNanoseconds
                log.warning("a segment that was replayed cannot be removed yet: \(error)")
                break
            }
        }
    }

    private func isIdle(_ name: SegmentName, _ now: UInt64, _ lastWrite: UInt64) -> Bool {
        now &- lastWrite >= Self.idleNanoseconds && hub.isSettled(name)
    }
}

extension SpillError {
    fileprivate var isQuota: Bool { if case .quotaReached = self { true } else { false } }
}
