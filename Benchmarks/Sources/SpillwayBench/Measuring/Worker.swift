// Threads, and a gate that they start from together.

import Glibc
import Synchronization

/// A thread that runs `body` once.
struct Worker {
    private let thread: pthread_t

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    struct StartError: Error { let code: Int32 }

    init(_ body: @escaping @Sendable () -> Void) throws(StartError) {
        let box = Unmanaged.passRetained(Box(body))
        var made = pthread_t()
        let code = pthread_create(
            &made, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw StartError(code: code)
        }
        thread = made
    }

    func join() { pthread_join(thread, nil) }
}

/// Holds threads back until all of them are there.
final class StartGate: Sendable {
    private let threads: Int
    private let arrived = Atomic<Int>(0)
    private let isOpen = Atomic<Bool>(false)

    init(threads: Int) { self.threads = threads }

    func arriveAndWait() {
        arrived.add(1, ordering: .releasing)
        // Pairs with the store in `open`.
        while !isOpen.load(ordering: .acquiring) { sched_yield() }
    }

    /// Waits for all threads and lets them go. Returns when, in nanoseconds of the monotonic clock: nothing is done before.
    func open() -> UInt64 {
        // Pairs with the add in `arriveAndWait`.
        while arrived.load(ordering: .acquiring) < threads { sched_yield() }
        let now = nowNanoseconds()
        isOpen.store(true, ordering: .releasing)
        return now
    }
}
