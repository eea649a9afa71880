// A client's engine in a process that came from `fork`: made by the first call there, with a session, sockets and threads of its own.
//
// What the parent has is not touched: its locks may be held by threads that this process does not have, and its events and its
// connection are the parent's as well. So the parent's records are sent by the parent alone, and its memory is not freed here.
//
// Limit: one engine a process. Invariant: `current` is of this process exactly if its fork count is this process's.

import Glibc
import Synchronization

final class ForkedEngine: Sendable {
    private let current = Atomic<Unmanaged<ClientEngine>?>(nil)
    /// The fork count of the process that makes an engine, or has made it. No lock: one could be held when the process forks.
    private let claim = Atomic<Int>(-1)

    /// The engine of this process, if there is one.
    ///
    /// The acquiring load pairs with the releasing store in `engine`.
    func existing(_ forkCount: Int) -> ClientEngine? {
        guard let found = current.load(ordering: .acquiring)?.takeUnretainedValue() else { return nil }
        return found.forkCount == forkCount ? found : nil
    }

    /// The engine of this process, made by `make` if there is none. Other threads wait while it is made.
    func engine(_ forkCount: Int, _ make: () -> ClientEngine) -> ClientEngine {
        while true {
            if let found = existing(forkCount) { return found }
            let claimed = claim.load(ordering: .relaxed)
            guard claimed != forkCount,
                claim.compareExchange(expected: claimed, desired: forkCount, ordering: .relaxed).exchanged
            else {
                usleep(100)
                continue
            }
            let made = make()
            // One of a process before this one stays where it is.
            current.store(Unmanaged.passRetained(made), ordering: .releasing)
            return made
        }
    }

    /// Lets the engine of this process end by itself.
    func abandon(_ forkCount: Int) {
        guard let found = existing(forkCount) else { return }
        found.stop()
        Unmanaged.passUnretained(found).release()
    }
}
