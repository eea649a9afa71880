// What the lanes know about the database, for /readyz, /stats and the log.

import Synchronization

/// The state of the lanes. Safe from any thread.
final class LaneHealth: Sendable {
    struct State: Equatable {
        /// Lanes whose last attempt reached the database.
        var connected: Set<Int> = []
        /// The last error of each lane that does not reach it.
        var errors: [Int: String] = [:]
        var batchesCommitted: UInt64 = 0
        /// Attempts that failed and were or will be repeated.
        var attemptsFailed: UInt64 = 0
        /// Batches that an unknown COMMIT had stored before the ledger told so.
        var batchesSettledByLedger: UInt64 = 0
    }

    private let state = Mutex(State())

    var snapshot: State { state.withLock { $0 } }

    /// - Returns: whether the lane had no connection before.
    @discardableResult
    func connected(lane: Int) -> Bool {
        state.withLock {
            $0.errors[lane] = nil
            return $0.connected.insert(lane).inserted
        }
    }

    func failed(lane: Int, _ error: String) {
        state.withLock {
            $0.connected.remove(lane)
            $0.errors[lane] = error
            $0.attemptsFailed += 1
        }
    }

    /// The attempt failed although the database answers.
    func attemptFailed(lane: Int) { state.withLock { $0.attemptsFailed += 1 } }

    func committed(settledByLedger: Bool) {
        state.withLock {
            $0.batchesCommitted += 1
            if settledByLedger { $0.batchesSettledByLedger += 1 }
        }
    }
}
