// A worker with a connection of its own: takes full batches, decodes them once, and tries until each is stored.
//
// A batch leaves a lane in one of two ways only: it is stored (committed, or found in the ledger), or the collector's stop
// has waited for its deadline, and then its batch is named in the log and its records stay open in
// the books.

import Listeners
import LinuxSystem
import Logging
import TimescaleStore

/// One lane. `run` is the body of its thread.
final class Lane: Sendable {
    private static let lookMilliseconds = 200
    /// The same failure is logged again after so long.
    private static let logEveryNanoseconds: UInt64 = 10_000_000_000

    private let number: Int
    private let target: LaneTarget
    private let pool: BatchPool
    private let ledger: ConservationLedger
    private let health: LaneHealth
    /// Signalled when the stop's deadline has passed: attempts end.
    private let giveUp: WakeEvent
    private let log: Logger

    init(
        number: Int, target: LaneTarget, pool: BatchPool, ledger: ConservationLedger, health: LaneHealth,
        giveUp: WakeEvent, log: Logger
    ) {
        self.number = number
        self.target = target
        self.pool = pool
        self.ledger = ledger
        self.health = health
        self.giveUp = giveUp
        self.log = log
    }

    /// Works until the queue of full batches is closed and empty.
    func run() {
        let decoded = DecodedBatch()
        var session = LaneSession(lane: number, target: target, giveUp: giveUp, log: log)
        // Connected before the first batch, so that readiness says the truth on an idle collector.
        var backoff = Backoff()
        var generator = SystemRandomNumberGenerator()
        var nextProbe: UInt64 = 0
        while true {
            if let batch = pool.full.pop(timeoutMilliseconds: Self.lookMilliseconds) {
                batch.withFrames { decoded.decode($0) }
                countRefused(decoded)
                store(batch, decoded, &session)
                pool.release(batch)
            } else if pool.full.isDrained {
                return
            } else if !session.isConnected, monotonicNanoseconds() >= nextProbe {
                // A connection that is wanted when the next batch comes.
                do throws(DatabaseError) {
                    try session.connect()
                    health.connected(lane: number)
                    backoff.reset()
                } catch {
                    health.failed(lane: number, "\(error)")
                    nextProbe = monotonicNanoseconds() + UInt64(backoff.next(using: &generator)) * 1_000_000
                }
            }
        }
    }

    /// Tries until the batch is stored or the stop gives up.
    private func store(_ batch: FrameBatch, _ decoded: DecodedBatch, _ session: inout LaneSession) {
        var backoff = Backoff()
        var generator = SystemRandomNumberGenerator()
        var nextLog: UInt64 = 0
        var lastOutcomeUnknown = false
        while true {
            do throws(DatabaseError) {
                let stored = try batch.withFrames { (frames) throws(DatabaseError) in
                    try session.store(batch.identity, frames: frames, decoded: decoded)
                }
                guard let stored else { return }
                if health.connected(lane: number), nextLog > 0 { log.notice("the database is back") }
                count(decoded, stored)
                return
            } catch {
                health.failed(lane: number, "\(error)")
                // An attempt that did not get as far settles nothing about the one before it.
                lastOutcomeUnknown = lastOutcomeUnknown || error.isCommitOutcomeUnknown
                let now = monotonicNanoseconds()
                if now >= nextLog {
                    nextLog = now + Self.logEveryNanoseconds
                    log.warning(
                        "batch not stored yet, it is kept and tried again",
                        metadata: [
                            "batch": "\(batch.identity)", "records": "\(batch.recordCount)", "error": "\(error)",
                        ])
                }
            }
            let wait = backoff.next(using: &generator)
            if giveUp.wait(timeoutMilliseconds: Int32(wait)) {
                log.error(
                    lastOutcomeUnknown
                        ? "not known whether the batch is stored: the stop's deadline came first; spillway.batches tells"
                        : "the database did not come back before the stop's deadline: records lost",
                    metadata: ["batch": "\(batch.identity)", "records": "\(batch.recordCount)"])
                return
            }
        }
    }

    private func countRefused(_ decoded: DecodedBatch) {
        for frame in decoded.refused {
            ledger.refusedOnDecoding(frame.error.reason, source: frame.source, records: frame.recordCount)
        }
        if let first = decoded.refused.first {
            log.warning(
                "frames refused: their payload is malformed",
                metadata: [
                    "frames": "\(decoded.refused.count)", "source": "\(hexadecimal(first.source))",
                    "first": "\(first.error)",
                ])
        }
        for (source, records) in decoded.sources where records.unknownKind > 0 {
            ledger.unknownKind(source: source, records: records.unknownKind)
        }
    }

    private func count(_ decoded: DecodedBatch, _ stored: StoredBatch) {
        for (source, records) in decoded.sources {
            let dead = stored.deadLetters[source] ?? 0
            if records.rows > dead { ledger.committed(source: source, records: records.rows - dead) }
            if dead > 0 { ledger.deadLettered(source: source, records: dead) }
        }
        let dead = stored.deadLetters.values.reduce(0, +)
        if dead > 0 {
            log.warning(
                "the database refused records; they are in spillway.dead_letters with their reasons",
                metadata: ["records": "\(dead)"])
        }
        health.committed(settledByLedger: stored.wasStoredBefore)
    }
}

/// A source id as people see it everywhere.
func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
