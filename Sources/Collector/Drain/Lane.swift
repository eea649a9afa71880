// A worker with a connection of its own: takes closed batches, live ones and those of the spill, and stores each in one
// attempt. What fails goes back to the plan, which knows where it goes next; a lane never waits with a batch in its hands.

import Delivery
import FrameCodec
import LinuxSystem
import Listeners
import Logging
import MetricKinds
import SpillLog
import TimescaleStore

/// One lane. `run` is the body of its thread.
final class Lane: Sendable {
    private static let lookMilliseconds = 200
    /// The same failure is logged again after so long.
    private static let logEveryNanoseconds: UInt64 = 10_000_000_000

    private let number: Int
    private let target: LaneTarget
    private let hub: DeliveryHub
    private let spill: SpillDirectory?
    private let appended: AppendedSessions
    private let health: LaneHealth
    private let bounds: TimeBounds
    private let oldChunks: OldChunkBudget?
    /// Signalled when the stop's deadline has passed: attempts end.
    private let giveUp: WakeEvent
    private let log: Logger

    /// - Parameters:
    ///   - bounds: the times of records that are accepted.
    ///   - oldChunks: of all lanes together; nil where any number of old chunks may be made.
    init(
        number: Int, target: LaneTarget, hub: DeliveryHub, spill: SpillDirectory?,
        appended: AppendedSessions, health: LaneHealth, bounds: TimeBounds, oldChunks: OldChunkBudget?,
        giveUp: WakeEvent, log: Logger
    ) {
        self.number = number
        self.target = target
        self.hub = hub
        self.spill = spill
        self.appended = appended
        self.health = health
        self.bounds = bounds
        self.oldChunks = oldChunks
        self.giveUp = giveUp
        self.log = log
    }

    /// What a lane keeps from batch to batch.
    private struct Bench {
        var session: LaneSession
        let decoded = DecodedBatch()
        let reader: ReplayReader?
        var backoff = Backoff()
        var generator = SystemRandomNumberGenerator()
        var nextProbe: UInt64 = 0
        var nextLog: UInt64 = 0
    }

    /// Works until the hub is over.
    func run() {
        var bench = Bench(
            session: LaneSession(name: "lane \(number)", target: target, giveUp: giveUp, log: log),
            reader: spill.map { ReplayReader($0) })
        // One that drops what it gets needs no connection.
        if bench.session.isConnected { hub.laneConnected(number) }
        while !hub.isOver {
            if !bench.session.isConnected, monotonicNanoseconds() >= bench.nextProbe { connect(&bench) }
            guard let work = hub.work(forLane: number, timeoutMilliseconds: waitMilliseconds(bench)) else { continue }
            process(work, &bench)
        }
    }

    /// An idle lane without a connection looks when the next probe is due.
    private func waitMilliseconds(_ bench: borrowing Bench) -> Int {
        guard !bench.session.isConnected else { return Self.lookMilliseconds }
        let now = monotonicNanoseconds()
        let due = bench.nextProbe > now ? Int((bench.nextProbe - now) / 1_000_000) + 1 : 0
        return min(due, Self.lookMilliseconds)
    }

    private func connect(_ bench: inout Bench) {
        do throws(DatabaseError) {
            try bench.session.connect()
            hub.laneConnected(number)
            health.connected(lane: number)
        } catch {
            hub.laneLost(number)
            health.failed(lane: number, "\(error)")
            bench.nextProbe =
                monotonicNanoseconds() + UInt64(bench.backoff.next(using: &bench.generator)) * 1_000_000
        }
    }

    // MARK: A batch

    private func process(_ work: LaneWork, _ bench: inout Bench) {
        switch work {
        case .live(let slot, let summary):
            hub.batch(slot).withFrames { store(work, summary, $0, &bench) }
        case .replay(let batch):
            guard let reader = bench.reader else { preconditionFailure("there is a spill where there is replay") }
            let summary: BatchSummary
            do throws(SpillError) {
                summary = try reader.summary(of: batch)
                try reader.read(batch)
            } catch {
                let isLost = hub.unreadable(lane: number, error.readFailure)
                if isLost { health.lost(batch.summary.identity) }
                log.error(
                    isLost
                        ? "a batch of the spill is damaged and lost; its segment is moved to the quarantine"
                        : "a batch of the spill cannot be read, and the attempt is repeated",
                    metadata: [
                        "batch": "\(batch.summary.identity)", "records": "\(batch.recordsLeft)",
                        "error": "\(error)",
                    ])
                return
            }
            reader.withFrames { store(work, summary, $0, &bench) }
        }
    }

    /// One attempt.
    private func store(
        _ work: LaneWork, _ summary: BatchSummary, _ frames: UnsafeRawBufferPointer, _ bench: inout Bench
    ) {
        do throws(DatabaseError) {
            guard let stored = try storeWhatIsMissing(work, summary, frames, &bench) else {
                // It goes to the spill, and all but the rows of held tables is stored from there.
                return hub.failed(lane: number, isLaneLost: false)
            }
            bench.backoff.reset()
            if bench.nextLog > 0 {
                bench.nextLog = 0
                log.notice("this lane stores again", metadata: ["lane": "\(number)"])
            }
            tell(bench.decoded, stored, work)
            if case .database = target, stored.waiting.isEmpty { appended.note(summary.sessions) }
            hub.stored(lane: number, work, summary, bench.decoded, stored)
        } catch {
            let isLaneLost = !bench.session.isConnected
            if isLaneLost {
                health.failed(lane: number, "\(error)")
                bench.nextProbe =
                    monotonicNanoseconds() + UInt64(bench.backoff.next(using: &bench.generator)) * 1_000_000
            } else {
                health.attemptFailed(summary.identity, error.isBetweenCollectors ? nil : "\(error)")
            }
            hub.failed(lane: number, isLaneLost: isLaneLost)
            let now = monotonicNanoseconds()
            guard now >= bench.nextLog else { return }
            bench.nextLog = now + Self.logEveryNanoseconds
            log.warning(
                "a batch could not be stored; it is kept, and the attempt is repeated",
                metadata: [
                    "batch": "\(summary.identity)", "records": "\(summary.recordCount)", "error": "\(error)",
                ])
        }
    }

    /// Stores a batch without the frames that are stored already. A batch of the spill is likely to have some; a live one has
    /// them only where the ledger says so, for example when another collector was faster.
    ///
    /// A table that refuses everything is held, and the rest of a batch of the spill is stored without its rows.
    ///
    /// - Returns: nil for a live batch with rows of held tables.
    private func storeWhatIsMissing(
        _ work: LaneWork, _ summary: BatchSummary, _ frames: UnsafeRawBufferPointer, _ bench: inout Bench
    ) throws(DatabaseError) -> StoredBatch? {
        let spilled: SpilledBatch? = if case .replay(let batch) = work { batch } else { nil }
        var storedBefore = spilled != nil ? try bench.session.storedFrames(among: summary.sessions) : [:]
        var refused: KindSet = []
        var hasAskedAgain = false
        bench.decoded.judgement = TimeJudgement(
            bounds, watchesOldDays: oldChunks != nil && bench.session.hasHypertables)
        while true {
            bench.decoded.decode(frames, summary, storedBefore: storedBefore)
            // Frames that are passed over may be this batch's own, of which a kind waits since an earlier run.
            let isInPart = spilled != nil && bench.decoded.sources.values.contains { $0.resent > 0 }
            let kinds = isInPart ? .all : bench.decoded.kinds.union(spilled?.waitingKinds ?? [])
            let held = hub.heldKinds(among: kinds, lane: number).union(refused)
            if spilled == nil, !held.isEmpty { return nil }
            do throws(DatabaseError) {
                return try bench.session.store(
                    summary, frames: frames, decoded: bench.decoded, isReplay: spilled != nil, without: held,
                    counted: spilled?.part, oldChunks: oldChunks)
            } catch {
                guard bench.session.isConnected else { throw error }
                if let kind = error.refusingKind, !refused.contains(kind) {
                    hold(kind, error)
                    refused.insert(KindSet(kind))
                } else if error.kind == .framesStoredBefore, !hasAskedAgain {
                    hasAskedAgain = true
                    storedBefore = try bench.session.storedFrames(among: summary.sessions)
                } else {
                    throw error
                }
            }
        }
    }

    /// The table accepts nothing.
    private func hold(_ kind: MetricKind, _ error: DatabaseError) {
        let isNew = hub.hold(kind, reason: "\(error)")
        guard isNew else { return }
        log.error(
            "a table accepts nothing: its records wait in the spill and are stored once the cause is removed",
            metadata: ["table": "\(MetricKind.schemaName).\(kind.tableName)", "error": "\(error)"])
    }

    private func tell(_ decoded: DecodedBatch, _ stored: StoredBatch, _ work: LaneWork) {
        let spilled: SpilledBatch? = if case .replay(let batch) = work { batch } else { nil }
        let isReplay = spilled != nil
        health.committed(work.summary.identity, settledByLedger: stored.wasStoredBefore)
        if let first = decoded.refused.first, spilled?.part == nil {
            log.warning(
                isReplay && first.isAcknowledged
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
            log.warning(
                "the database refused records; they are kept in spillway.dead_letters: 'spillway dead-letters list' shows the reasons",
                metadata: ["records": "\(dead)"])
        }
    }
}

extension DatabaseError {
    /// Another collector or another attempt was faster, or the stop ended the attempt: nothing that an operator could change.
    fileprivate var isBetweenCollectors: Bool { [.framesStoredBefore, .batchStoredBefore, .cancelled].contains(kind) }
}
