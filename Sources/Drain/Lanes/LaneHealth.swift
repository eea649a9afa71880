// What the lanes know about the database, for /readyz, /stats and the log.

import Delivery
import LinuxSystem
import Synchronization

/// The state of the lanes. Safe from any thread.
package final class LaneHealth: Sendable {
    package struct State: Equatable {
        /// Lanes whose last attempt reached the database.
        package var connected: Set<Int> = []
        /// The last error of each lane that does not reach it.
        package var errors: [Int: String] = [:]
        /// Why the last attempt at a batch failed although the database answers, and no kind's table was to blame. Of up to
        /// `refusalsMax` batches that are not stored yet.
        package var refusals: [BatchIdentity: String] = [:]
        /// Attempts at a batch that failed for something that passes by itself. Of up to `refusalsMax` batches.
        var passing: [BatchIdentity: Int] = [:]
        package var batchesCommitted: UInt64 = 0
        /// Attempts that failed and were or will be repeated.
        package var attemptsFailed: UInt64 = 0
        /// Batches that an unknown COMMIT had stored before the ledger told so.
        package var batchesSettledByLedger: UInt64 = 0

        mutating func forget(_ batch: BatchIdentity) {
            refusals[batch] = nil
            passing[batch] = nil
        }
    }

    private static let refusalsMax = 16
    /// After this number of attempts at a batch, a failure that should pass by itself is shown.
    private static let passingAttemptsMax = 5

    private let state = Mutex(State())
    /// Rows that triggers suppressed since the start, by table.
    private let suppressed = Mutex<[String: Int]>([:])

    /// Records with times out of bounds since the start and when the last ones came, by source.
    private let outOfBounds = Mutex<[UInt64: (records: Int, at: UInt64)]>([:])
    private static let outOfBoundsSourcesMax = 64
    /// For so long after the last such record its source is shown.
    private static let outOfBoundsNanoseconds: UInt64 = 3_600_000_000_000

    package init() {}

    /// Records that the database refused since the start, and when the last ones did.
    private let deadLetters = Mutex<(records: Int, at: UInt64)>((0, 0))

    package var snapshot: State { state.withLock { $0 } }

    /// - Returns: whether the lane had no connection before.
    @discardableResult
    package func connected(lane: Int) -> Bool {
        state.withLock {
            $0.errors[lane] = nil
            return $0.connected.insert(lane).inserted
        }
    }

    package func failed(lane: Int, _ error: String) {
        state.withLock {
            $0.connected.remove(lane)
            $0.errors[lane] = error
            $0.attemptsFailed += 1
        }
    }

    /// The attempt failed although the database answers.
    ///
    /// - Parameter passes: it is expected to pass by itself, and is shown only when it does not.
    package func attemptFailed(_ batch: BatchIdentity, _ error: String, passes: Bool) {
        state.withLock {
            $0.attemptsFailed += 1
            if passes {
                if $0.passing.count >= Self.refusalsMax, $0.passing[batch] == nil { $0.passing.removeAll() }
                $0.passing[batch, default: 0] += 1
                guard $0.passing[batch, default: 0] >= Self.passingAttemptsMax else { return }
            }
            if $0.refusals.count < Self.refusalsMax || $0.refusals[batch] != nil { $0.refusals[batch] = error }
        }
    }

    /// - Returns: whether it is the first time for one of the tables.
    package func suppressed(_ rows: [String: Int]) -> Bool {
        suppressed.withLock { suppressed in
            let isNew = rows.keys.contains { suppressed[$0] == nil }
            suppressed.merge(rows, uniquingKeysWith: +)
            return isNew
        }
    }

    /// - Returns: whether the source had none in the last hour.
    package func outOfBounds(_ records: Int, _ source: UInt64) -> Bool {
        let now = monotonicNanoseconds()
        return outOfBounds.withLock { sources in
            let before = sources[source]
            if before == nil, sources.count >= Self.outOfBoundsSourcesMax,
                let oldest = sources.min(by: { $0.value.at < $1.value.at })
            {
                sources[oldest.key] = nil
            }
            sources[source] = ((before?.records ?? 0) + records, now)
            return before.map { now - $0.at > Self.outOfBoundsNanoseconds } ?? true
        }
    }

    /// Records that the database refused, which are dead letters now.
    package func deadLettered(_ records: Int) {
        let now = monotonicNanoseconds()
        deadLetters.withLock { $0 = ($0.records + records, now) }
    }

    /// While the last one came within an hour.
    package var deadLetterWarnings: [String] {
        let (records, at) = deadLetters.withLock { $0 }
        guard records > 0, monotonicNanoseconds() - at <= Self.outOfBoundsNanoseconds else { return [] }
        return [
            "the database has refused \(records) records since the start, which are in spillway.dead_letters: 'spillway "
                + "dead-letters list' shows the reasons, and 'resend' stores them once the cause is removed"
        ]
    }

    /// One line for each source with such records in the last hour.
    package func outOfBoundsWarnings(_ name: (UInt64) -> String) -> [String] {
        let now = monotonicNanoseconds()
        let recent = outOfBounds.withLock { $0.filter { now - $0.value.at <= Self.outOfBoundsNanoseconds } }
        return recent.sorted { $0.key < $1.key }.map { source, seen in
            "times out of bounds: \(seen.records) records of \(name(source)) became dead letters since the start: correct its "
                + "clock, or for a backfill set accept-past to off; what 'spillway dead-letters list' still has of them, 'resend "
                + "--any-time' stores"
        }
    }

    /// One line for each table whose triggers suppress rows.
    package var suppressionWarnings: [String] {
        suppressed.withLock { suppressed in
            suppressed.sorted { $0.key < $1.key }.map { table, rows in
                "a BEFORE INSERT trigger of \(table) has suppressed \(rows) rows since the start, which are not stored "
                    + "(records_suppressed): drop the trigger, or let it RETURN NEW"
            }
        }
    }

    /// The batch is lost.
    package func lost(_ batch: BatchIdentity) { state.withLock { $0.forget(batch) } }

    /// The batch is stored, all of it or all that can be.
    package func committed(_ batch: BatchIdentity, settledByLedger: Bool) {
        state.withLock {
            $0.forget(batch)
            $0.batchesCommitted += 1
            if settledByLedger { $0.batchesSettledByLedger += 1 }
        }
    }
}
