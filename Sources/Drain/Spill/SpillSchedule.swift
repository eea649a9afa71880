// When each step of the spill's writer is due, and what the log says of it. The steps are in `SpillSteps`.

import Delivery
import LinuxSystem
import Logging
import SpillLog

/// The spill's only writer and its schedule. `run` is the body of its thread; a simulation calls `step`.
package struct SpillSchedule: ~Copyable {
    /// Batches that one sync makes durable.
    package static let groupMax = 4
    private static let pollMilliseconds = 500
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

    private var steps: SpillSteps
    private let coordinator: DeliveryCoordinator
    private let path: String
    private let quotaBytes: UInt64
    private let clock: Clock
    private let log: Logger
    private var lastWrite: UInt64 = 0
    private var nextLog: UInt64 = 0
    private var nextRemoval: UInt64 = 0
    private var nextRemovalLog: UInt64 = 0
    private var nextCheck: UInt64 = 0
    private var nextProbe: UInt64 = 0
    private var nextRescueLog: UInt64 = 0
    private var isBlocked = false
    private var isPlaceLost = false
    private var isRoomMissing = false
    private var backlog: SpillBacklog

    /// - Parameters:
    ///   - path: the spill's directory, for the log.
    ///   - quotaBytes: that of the writer.
    package init(
        _ writer: consuming SpillWriter, coordinator: DeliveryCoordinator, path: String, quotaBytes: UInt64,
        clock: Clock = .system, log: Logger
    ) {
        steps = SpillSteps(writer)
        self.coordinator = coordinator
        self.path = path
        self.quotaBytes = quotaBytes
        self.clock = clock
        self.log = log
        backlog = SpillBacklog(recovered: coordinator.spillRecords, now: clock.nanoseconds())
    }

    /// Bytes of all segments on disk.
    package var usedBytes: UInt64 { steps.usedBytes }

    /// Runs until the coordinator has ended and nothing is left to write.
    package mutating func run() {
        while step(timeoutMilliseconds: Self.pollMilliseconds) {}
    }

    /// Writes what waits, and does whatever else is due.
    ///
    /// - Returns: false when the coordinator has ended and nothing is left to write.
    package mutating func step(timeoutMilliseconds: Int) -> Bool {
        let isOver = coordinator.isOver
        let slots = coordinator.spillWork(max: Self.groupMax, timeoutMilliseconds: timeoutMilliseconds)
        if slots.isEmpty { endIdleSegment(isOver: isOver) } else { write(slots) }
        let now = clock.nanoseconds()
        if now >= nextCheck { check(now: now) }
        if !isOver, now >= nextProbe, coordinator.needsSpillProbe { probe(now: now) }
        if let line = backlog.observe(coordinator.spillRecords, now: now) { log.notice("\(line)") }
        if now >= nextRemoval || isOver { removeSettled(now: now) }
        return !isOver || !slots.isEmpty
    }

    private mutating func write(_ slots: [BatchSlot]) {
        let (durable, failure) = steps.write(
            slots, for: coordinator, now: clock.nanoseconds(), nowMicroseconds: clock.wallMicroseconds())
        let now = clock.nanoseconds()
        if durable > 0 { lastWrite = now }
        // What the segment held before is written again too, and the operator hears of it.
        if steps.wasDisturbed { nextCheck = now }
        guard let failure else {
            if isBlocked { log.notice("the spill takes batches again") }
            isBlocked = false
            return
        }
        if !isBlocked || now >= nextLog {
            nextLog = now &+ Self.logEveryNanoseconds
            log.error(
                "the spill takes no batches: TCP clients wait, and datagrams without room in the ring are dropped and counted",
                metadata: ["error": "\(failure)"])
        }
        isBlocked = true
    }

    /// Checks whether what was written is still there, under its name, and whether there is room for more.
    package mutating func check(now: UInt64) {
        nextCheck = now &+ Self.checkNanoseconds
        checkRoom()
        do throws(SpillError) {
            if try steps.keepPlace() {
                coordinator.disturbed { $0.tookFolder() }
                log.error(
                    "the spill's directory was removed, renamed or replaced; the collector has taken its place again",
                    metadata: ["directory": "\(path)"])
            }
            if isPlaceLost { coordinator.disturbed { $0.placeFailure = nil } }
            isPlaceLost = false
        } catch {
            coordinator.disturbed { $0.placeFailure = error }
            if !isPlaceLost {
                log.error(
                    "the spill's directory is not at its place: \(error)", metadata: ["directory": "\(path)"])
            }
            isPlaceLost = true
            return
        }
        for outcome in steps.rescueDisturbed(for: coordinator, nowMicroseconds: clock.wallMicroseconds()) {
            coordinator.disturbed { $0.add(outcome) }
            if outcome.failure != nil { nextCheck = now &+ Self.rescueRetryNanoseconds }
            let hasOutcome = outcome.recordsRescued > 0 || outcome.recordsLost > 0
            guard hasOutcome || now >= nextRescueLog else { continue }
            nextRescueLog = now &+ Self.logEveryNanoseconds
            var metadata: Logger.Metadata = [
                "segment": "\(outcome.name)", "directory": "\(path)",
                "records_written_again": "\(outcome.recordsRescued)", "records_lost": "\(outcome.recordsLost)",
            ]
            if let failure = outcome.failure { metadata["rest_is_tried_again"] = "\(failure)" }
            log.error(
                "a segment of the spill was \(outcome.disturbance) by something other than the collector",
                metadata: metadata)
        }
    }

    /// A spill without room is reported before the outage that needs it. One that is blocked says so by itself.
    private mutating func checkRoom() {
        let bytes = Int(min(Self.roomBytesMax, quotaBytes / 10))
        let missing = isBlocked ? nil : steps.missingRoom(for: bytes)
        coordinator.disturbed { $0.missingRoom = missing }
        if let missing, !isRoomMissing {
            log.error("the spill would take no batch in an outage of the database: \(missing)")
        }
        isRoomMissing = missing != nil
    }

    /// Nothing is offered to a spill that takes nothing while the lanes store all: it is tried.
    private mutating func probe(now: UInt64) {
        nextProbe = now &+ Self.probeNanoseconds
        guard steps.probe(for: coordinator, nowMicroseconds: clock.wallMicroseconds()) == nil else { return }
        // A segment that the trial began is ended when it has been idle.
        lastWrite = now
        if isBlocked { log.notice("the spill takes batches again") }
        isBlocked = false
    }

    /// Ends a segment that has been idle.
    private mutating func endIdleSegment(isOver: Bool) {
        guard let current = steps.currentSegment else { return }
        let isIdle = clock.nanoseconds() &- lastWrite >= Self.idleNanoseconds && coordinator.isSettled(current)
        guard isOver || isIdle, let error = steps.endSegment(for: coordinator) else { return }
        log.warning("a segment of the spill could not be closed with its end mark; recovery reads it without: \(error)")
    }

    /// Removes segments of which nothing is needed, also while batches keep coming.
    private mutating func removeSettled(now: UInt64) {
        nextRemoval = now &+ Self.removalNanoseconds
        let failures = steps.removeSettled(for: coordinator, now: now)
        guard let first = failures.first, now >= nextRemovalLog else { return }
        nextRemovalLog = now &+ Self.logEveryNanoseconds
        log.warning(
            "segments that were replayed cannot be removed, which is repeated",
            metadata: ["segments": "\(failures.count)", "first": "\(first.name)", "error": "\(first.error)"])
    }
}
