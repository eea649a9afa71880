// A worker with a sink of its own: takes closed batches, live ones and those of the spill, and stores each in one attempt. What
// fails goes back to the plan, which knows where it goes next; a lane never waits with a batch in its hands.

import Delivery
import FrameCodec
import LinuxSystem
import Logging
import MetricKinds
import SpillLog
import StoreWriter
import Text

/// One lane and its steps. `run` is the body of its thread; a simulation calls the steps one by one.
package struct Lane<Sink: BatchSink>: ~Copyable {
    private let number: Int
    private var sink: Sink
    private let coordinator: DeliveryCoordinator
    private let health: LaneHealth
    private let clock: Clock
    private let log: Logger
    private let decoded = DecodedBatch()
    /// Nil without a spill.
    private let reader: ReplayReader?
    private var backoff = Backoff()
    private var generator: any RandomNumberGenerator
    private var nextProbe: UInt64 = 0
    private var nextLog: UInt64 = 0

    /// - Parameters:
    ///   - reader: of the spill; nil without one.
    ///   - generator: for the random part of the waits between attempts to connect.
    package init(
        number: Int, sink: Sink, coordinator: DeliveryCoordinator, reader: ReplayReader?, health: LaneHealth,
        clock: Clock = .system, generator: any RandomNumberGenerator = SystemRandomNumberGenerator(), log: Logger
    ) {
        self.number = number
        self.sink = sink
        self.coordinator = coordinator
        self.reader = reader
        self.health = health
        self.clock = clock
        self.generator = generator
        self.log = log
        // One that drops what it gets needs no connection.
        if sink.isConnected { coordinator.laneConnected(number) }
    }

    /// Works until the coordinator has ended.
    package mutating func run() {
        while !coordinator.isOver {
            connectIfDue()
            guard
                let work = coordinator.work(
                    forLane: number, timeoutMilliseconds: waitMilliseconds(atMost: LaneTiming.pollMilliseconds))
            else { continue }
            store(work)
        }
    }

    /// Makes a connection where there is none and the wait since the last attempt has ended.
    package mutating func connectIfDue() {
        guard !sink.isConnected, clock.nanoseconds() >= nextProbe else { return }
        do throws(Sink.Failure) {
            try sink.connect()
            coordinator.laneConnected(number)
            health.connected(lane: number)
        } catch {
            coordinator.laneLost(number)
            health.failed(lane: number, "\(error)")
            waitBeforeProbe()
        }
    }

    private mutating func waitBeforeProbe() {
        nextProbe = clock.nanoseconds() + UInt64(backoff.next(using: &generator)) * 1_000_000
    }

    /// An idle lane without a connection waits until the next probe is due.
    private func waitMilliseconds(atMost most: Int) -> Int {
        guard !sink.isConnected else { return most }
        let now = clock.nanoseconds()
        let due = nextProbe > now ? Int((nextProbe - now) / 1_000_000) + 1 : 0
        return min(due, most)
    }

    // MARK: A batch

    /// One attempt at a batch that the coordinator has given, whose outcome is reported to it.
    package mutating func store(_ work: LaneWork) {
        switch work {
        case .live(let slot, let summary):
            coordinator.batch(slot).withFrames { store(work, summary, $0) }
        case .replay(let batch):
            guard let reader else { preconditionFailure("there is a spill where there is replay") }
            let summary: BatchSummary
            do throws(SpillError) {
                summary = try reader.summary(of: batch)
                try reader.read(batch)
            } catch {
                return reportUnreadable(batch, error)
            }
            reader.withFrames { store(work, summary, $0) }
        }
    }

    private func reportUnreadable(_ batch: SpilledBatch, _ error: SpillError) {
        let isLost = coordinator.unreadable(lane: number, error.readFailure)
        if isLost { health.lost(batch.summary.identity) }
        log.error(
            isLost
                ? "a batch of the spill is damaged and lost; its segment is moved to the quarantine"
                : "a batch of the spill cannot be read, and the attempt is repeated",
            metadata: [
                "batch": "\(batch.summary.identity)", "records": "\(batch.recordsLeft)", "error": "\(error)",
            ])
    }

    private mutating func store(_ work: LaneWork, _ summary: BatchSummary, _ frames: UnsafeRawBufferPointer) {
        do throws(Sink.Failure) {
            guard let stored = try storeWhatIsMissing(work, summary, frames) else {
                // It goes to the spill, and all but the rows of held tables is stored from there.
                return coordinator.failed(lane: number, isLaneLost: false)
            }
            backoff.reset()
            if nextLog > 0 {
                nextLog = 0
                log.notice("this lane stores again", metadata: ["lane": "\(number)"])
            }
            report(stored, work)
            coordinator.stored(lane: number, work, summary, decoded.contents, stored)
        } catch {
            reportFailure(summary, error)
        }
    }

    private mutating func reportFailure(_ summary: BatchSummary, _ error: Sink.Failure) {
        let isLaneLost = !sink.isConnected
        if isLaneLost {
            health.failed(lane: number, "\(error)")
            waitBeforeProbe()
        } else {
            health.attemptFailed(summary.identity, "\(error)", passes: error.passesByItself)
        }
        coordinator.failed(lane: number, isLaneLost: isLaneLost)
        let now = clock.nanoseconds()
        guard now >= nextLog else { return }
        nextLog = now + LaneTiming.logEveryNanoseconds
        log.warning(
            "a batch could not be stored; it is kept, and the attempt is repeated",
            metadata: ["batch": "\(summary.identity)", "records": "\(summary.recordCount)", "error": "\(error)"])
    }

    /// Stores a batch without the frames that are stored already. A batch of the spill is likely to have some; a live one has
    /// them only where the ledger says so, for example when another collector was faster.
    ///
    /// A table that refuses everything is held, and the rest of a batch of the spill is stored without its rows.
    ///
    /// - Returns: nil for a live batch with rows of held tables.
    private mutating func storeWhatIsMissing(
        _ work: LaneWork, _ summary: BatchSummary, _ frames: UnsafeRawBufferPointer
    ) throws(Sink.Failure) -> StoredBatch? {
        let spilled = work.spilled
        var storedBefore = spilled != nil ? try sink.storedFrames(among: summary.sessions) : [:]
        var refused: KindSet = []
        var hasRefreshed = false
        decoded.judgement = sink.judgement
        while true {
            decoded.decode(frames, summary, storedBefore: storedBefore)
            // Frames that are passed over may be this batch's own, of which a kind waits since an earlier run.
            let isInPart = spilled != nil && decoded.sources.values.contains { $0.resent > 0 }
            let kinds = isInPart ? .all : decoded.kinds.union(spilled?.waitingKinds ?? [])
            let held = coordinator.heldKinds(among: kinds, lane: number).union(refused)
            if spilled == nil, !held.isEmpty { return nil }
            do throws(Sink.Failure) {
                return try sink.store(
                    summary, frames: frames, decoded: decoded, isReplay: spilled != nil, without: held,
                    counted: spilled?.part)
            } catch {
                guard sink.isConnected else { throw error }
                if let kind = error.refusingKind, !refused.contains(kind) {
                    hold(kind, "\(error)")
                    refused.insert(KindSet(kind))
                } else if error.areFramesStoredBefore, !hasRefreshed {
                    hasRefreshed = true
                    storedBefore = try sink.storedFrames(among: summary.sessions)
                } else {
                    throw error
                }
            }
        }
    }

    /// The table accepts nothing.
    private func hold(_ kind: MetricKind, _ reason: String) {
        guard coordinator.hold(kind, reason: reason) else { return }
        log.error(
            "a table accepts nothing: its records wait in the spill and are stored once the cause is removed",
            metadata: ["table": "\(MetricKind.schemaName).\(kind.tableName)", "error": "\(reason)"])
    }

    /// What an operator should know of a batch that is stored.
    private func report(_ stored: StoredBatch, _ work: LaneWork) {
        let spilled = work.spilled
        health.committed(work.summary.identity, settledByLedger: stored.wasStoredBefore)
        if let first = decoded.refused.first, spilled?.part == nil {
            log.warning(
                spilled != nil && first.isAcknowledged
                    ? "acknowledged frames are malformed inside; they are kept in spillway.dead_letters: 'spillway dead-letters list' shows them"
                    : "frames were refused, since they are malformed inside: correct the client that sent them",
                metadata: [
                    "frames": "\(decoded.refused.count)", "source": "\(hexadecimal(first.identity.source))",
                    "first": "\(first.error)",
                ])
        }
        if !stored.suppressedByTable.isEmpty, health.suppressed(stored.suppressedByTable) {
            log.warning(
                "a BEFORE INSERT trigger suppressed rows, which are not stored",
                metadata: ["tables": "\(stored.suppressedByTable.keys.sorted().joined(separator: ", "))"])
        }
        for (source, records) in decoded.sources where records.outOfBounds > 0 {
            guard health.outOfBounds(records.outOfBounds, source) else { continue }
            log.warning(
                "times out of bounds: these records become dead letters, which 'spillway dead-letters list' shows",
                metadata: ["source": "\(hexadecimal(source))", "records": "\(records.outOfBounds)"])
        }
        let dead =
            stored.deadLetters.values.reduce(0, +) - decoded.sources.values.reduce(0) { $0 + $1.outOfBounds }
        if dead > 0 {
            health.deadLettered(dead)
            log.warning(
                "the database refused records; they are kept in spillway.dead_letters: 'spillway dead-letters list' shows the reasons",
                metadata: ["records": "\(dead)"])
        }
    }
}

/// How often a lane checks and logs.
private enum LaneTiming {
    static let pollMilliseconds = 200
    /// The same failure is logged again after this time.
    static let logEveryNanoseconds: UInt64 = 10_000_000_000
}
