// In how many generations of `fork` this process is: by it a client finds out that it is in another process than it was made in.
//
// One load of an atomic, where `getpid` is a system call for each record. `pthread_atfork` covers `fork`; a process that is
// made by a bare `clone` is not seen, nor does one need to be that calls `exec` next.

import Glibc
import Synchronization

@usableFromInline
final class ForkCounter: Sendable {
    /// Forks between the first process and this one.
    @usableFromInline let count = Atomic<Int>(0)

    static let shared: ForkCounter = {
        let counter = ForkCounter()
        // Without room for the handler, which glibc needs memory for, forks stay unseen, as they would without it.
        pthread_atfork(nil, nil) { ForkCounter.shared.count.add(1, ordering: .relaxed) }
        return counter
    }()

    /// Ordered by `fork` itself: the child has one thread when the count changes.
    @inlinable var now: Int { count.load(ordering: .relaxed) }
}
