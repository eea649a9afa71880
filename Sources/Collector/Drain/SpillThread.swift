// The thread of the spill's writer: when each of its steps is due, and what the log says of them. The steps are in `SpillSteps`.

import Delivery
import LinuxSystem
import Logging
import SpillLog

/// The spill's only writer. `run` is the body of its thread.
final class SpillThread: Sendable {
    /// Batches that one sync makes durable.
    static let groupMax = 4
    private static let lookMilliseconds = 500
    /// A segment whose batches are all settled stays open for this time, in case more come.
    private static let idleNanoseconds: UInt64 = 1_000_000_000
    private static let removalNanoseconds: UInt64 = 500_000_000
    /// Between two checks of the segments and of the folder.
    private static let checkNanoseconds: UInt64 = 500_000_000
    /// Before a rescue that failed is tried again.
    private static let rescueRetryNanoseconds: UInt64 = 5_000_000_000
    /// Between two tries of a spill that takes nothing.
    private static let probeNanoseconds: UInt64 = 1_000_000_000
    /// What the spill should have room for at any time, if its quota is ten times as large.
    private static let roomBytesMax: UInt64 = 8 << 20
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
        var nextRemovalLog: UInt64 = 0
        var nextCheck: UInt64 = 0
        var nextProbe: UInt64 = 0
        var nextRescueLog: UInt64 = 0
        var isBlocked = false
        var isPlaceLost = false
        var isRoomMissing = false
        var backlog: SpillBacklog
    }

    /// Runs until the hub has ended and nothing is left to write.
    func run() {
        var steps = SpillSteps(
            SpillWriter(
                fileSystem: directory.fileSystem, directoryID: directory.directoryID,
                epoch: UInt64(bitPattern: hub.epoch), limits: limits, found: found, files: directory.files))
        var rounds = Rounds(
            backlog: SpillBacklog(recovered: hub.view.spillRecords, now: monotonicNanoseconds()))
        while true {
            let isOver = hub.isOver
            let slots = hub.spillWork(max: Self.groupMax, timeoutMilliseconds: Self.lookMilliseconds)
            if slots.isEmpty {
                endIdleSegment(&steps, lastWrite: rounds.lastWrite, isOver: isOver)
            } else {
                write(slots, &steps, &rounds)
            }
            let now = monotonicNanoseconds()
            if now >= rounds.nextCheck { check(&steps, &rounds, now: now) }
            if !isOver, now >= rounds.nextProbe, hub.needsSpillProbe { probe(&steps, &rounds, now: now) }
            if let line = rounds.backlog.observe(hub.view, now: now) { log.notice("\(line)") }
            if now >= rounds.nextRemoval || isOver { removeSettled(&steps, &rounds, now: now) }
            if isOver, slots.isEmpty { return }
        }
    }

    private func write(_ slots: [BatchSlot], _ steps: inout SpillSteps, _ rounds: inout Rounds) {
        let (durable, failure) = steps.write(
            slots, for: hub, now: monotonicNanoseconds(), nowMicroseconds: wallClockMicroseconds())
        let now = monotonicNanoseconds()
        if durable > 0 { rounds.lastWrite = now }
        // What the segment held before is written again too, and the operator hears of it.
        if steps.wasDisturbed { rounds.nextCheck = now }
        guard let failure else {
            if rounds.isBlocked { log.notice("the spill takes batches again") }
            rounds.isBlocked = false
            return
        }
        if !rounds.isBlocked || now >= rounds.nextLog {
            rounds.nextLog = now &+ Self.logEveryNanoseconds
            log.error(
                "the spill takes no batches: TCP clients wait, and datagrams without room in the ring are dropped and counted",
                metadata: ["error": "\(failure)"])
        }
        rounds.isBlocked = true
    }

    /// Whether what was written is still there, under its name.
    private func check(_ steps: inout SpillSteps, _ rounds: inout Rounds, now: UInt64) {
        rounds.nextCheck = now &+ Self.checkNanoseconds
        // A spill that is blocked says so by itself.
        let missing =
            rounds.isBlocked
            ? nil
            : steps.missingRoom(
                for: Int(min(Self.roomBytesMax, limits.quotaBytes / 10)))
        hub.disturbed { $0.missingRoom = missing }
        if let missing, !rounds.isRoomMissing {
            log.error("the spill would take no batch in an outage of the database: \(missing)")
        }
        rounds.isRoomMissing = missing != nil
        do throws(SpillError) {
            if try steps.keepPlace() {
                hub.disturbed { $0.tookFolder() }
                log.error(
                    "the spill's directory was removed, renamed or replaced; the collector has taken its place again",
                    metadata: ["directory": "\(directory.path)"])
            }
            if rounds.isPlaceLost { hub.disturbed { $0.placeFailure = nil } }
            rounds.isPlaceLost = false
        } catch {
            hub.disturbed { $0.placeFailure = error }
            if !rounds.isPlaceLost {
                log.error(
                    "the spill's directory is not at its place: \(error)", metadata: ["directory": "\(directory.path)"])
            }
            rounds.isPlaceLost = true
            return
        }
        for outcome in steps.rescueDisturbed(for: hub, nowMicroseconds: wallClockMicroseconds()) {
            hub.disturbed { $0.add(outcome) }
            if outcome.failure != nil { rounds.nextCheck = now &+ Self.rescueRetryNanoseconds }
            let hasOutcome = outcome.recordsRescued > 0 || outcome.recordsLost > 0
            guard hasOutcome || now >= rounds.nextRescueLog else { continue }
            rounds.nextRescueLog = now &+ Self.logEveryNanoseconds
            var metadata: Logger.Metadata = [
                "segment": "\(outcome.name)", "directory": "\(directory.path)",
                "records_written_again": "\(outcome.recordsRescued)", "records_lost": "\(outcome.recordsLost)",
            ]
            if let failure = outcome.failure { metadata["rest_is_tried_again"] = "\(failure)" }
            log.error(
                "a segment of the spill was \(outcome.disturbance) by something other than the collector",
                metadata: metadata)
        }
    }

    /// Nothing is offered to a spill that takes nothing while the lanes store all: it is tried.
    private func probe(_ steps: inout SpillSteps, _ rounds: inout Rounds, now: UInt64) {
        rounds.nextProbe = now &+ Self.probeNanoseconds
        guard steps.probe(for: hub, nowMicroseconds: wallClockMicroseconds()) == nil else { return }
        // A segment that the trial began is ended when it has been idle.
        rounds.lastWrite = now
        if rounds.isBlocked { log.notice("the spill takes batches again") }
        rounds.isBlocked = false
    }

    /// Ends a segment that has been idle.
    private func endIdleSegment(_ steps: inout SpillSteps, lastWrite: UInt64, isOver: Bool) {
        guard let current = steps.currentSegment else { return }
        let isIdle = monotonicNanoseconds() &- lastWrite >= Self.idleNanoseconds && hub.isSettled(current)
        guard isOver || isIdle, let error = steps.endSegment(for: hub) else { return }
        log.warning("a segment of the spill could not be closed with its end mark; recovery reads it without: \(error)")
    }

    /// Removes segments of which nothing is needed, also while batches keep coming.
    private func removeSettled(_ steps: inout SpillSteps, _ rounds: inout Rounds, now: UInt64) {
        rounds.nextRemoval = now &+ Self.removalNanoseconds
        let failures = steps.removeSettled(for: hub, now: now)
        guard let first = failures.first, now >= rounds.nextRemovalLog else { return }
        rounds.nextRemovalLog = now &+ Self.logEveryNanoseconds
        log.warning(
            "segments that were replayed cannot be removed, which is repeated",
            metadata: ["segments": "\(failures.count)", "first": "\(first.name)", "error": "\(first.error)"])
    }
}
