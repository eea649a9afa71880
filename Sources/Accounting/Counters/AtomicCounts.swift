// The totals: the same numbers as `Counts`, which any thread may add to.

import FrameCodec
import Synchronization

/// Counters that only grow.
///
/// Every access is relaxed: a counter orders nothing and is read for display. A reader may therefore see one counter of
/// a batch before another; at rest, when the threads that count have handed over their work, the sums are exact.
final class AtomicCounts: Sendable {
    private let counters = CounterArray<Atomic<UInt64>> { _ in Atomic(0) }
    private let refusals = ReasonArray<Atomic<UInt64>> { _ in Atomic(0) }
    private let connections = InlineArray<7, Atomic<UInt64>> { _ in Atomic(0) }

    /// How many reasons there is room for: all of them, which a test sees to.
    var connectionReasonsMax: Int { connections.count }

    func add(_ amount: Int, to counter: Counter) {
        counters[counter.id].wrappingAdd(UInt64(truncatingIfNeeded: amount), ordering: .relaxed)
    }

    func addRefused(_ reason: FrameError.Reason) {
        refusals[Int(reason.rawValue)].wrappingAdd(1, ordering: .relaxed)
    }

    func addRefused(_ reason: ConnectionRefusal) {
        connections[reason.id].wrappingAdd(1, ordering: .relaxed)
    }

    /// Adds a batch's counters: one atomic addition for each that is not zero.
    func add(_ counts: borrowing Counts) {
        for counter in Counter.allCases where counts[counter] != 0 {
            counters[counter.id].wrappingAdd(counts[counter], ordering: .relaxed)
        }
    }

    func load() -> Counts {
        var counts = Counts()
        for counter in Counter.allCases {
            counts[counter] = counters[counter.id].load(ordering: .relaxed)
        }
        for reason in FrameError.Reason.allCases {
            counts[refused: reason] = refusals[Int(reason.rawValue)].load(ordering: .relaxed)
        }
        return counts
    }

    func load(_ reason: ConnectionRefusal) -> UInt64 {
        connections[reason.id].load(ordering: .relaxed)
    }
}
