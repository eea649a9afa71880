// State that several threads change and wait for: a lock and a condition in one. For work that is counted in batches, where
// waking all who wait costs nothing beside the work.

import Glibc

/// A value behind a lock whose changes can be waited for.
///
/// `@unchecked Sendable`: every access to `state` happens under `mutex`, and the pointers never change.
public final class Monitor<State>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)
    private let changed: UnsafeMutablePointer<pthread_cond_t> = .allocate(capacity: 1)
    private var state: State

    public init(_ state: sending State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Changes the state and wakes all who wait.
    public func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return body(&state)
    }

    /// Looks at the state without waking anybody.
    public func read<Result>(_ body: (borrowing State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        // By reference: a class's property would be copied for the call.
        func borrow(_ state: inout State) -> Result { body(state) }
        return borrow(&state)
    }

    /// Runs `body` now and after each change until it gives something, and then wakes all who wait.
    ///
    /// - Parameter timeoutMilliseconds: 0 for running it once.
    /// - Returns: nil when it gave nothing until `timeoutMilliseconds` had passed.
    public func wait<Result>(timeoutMilliseconds: Int, _ body: (inout State) -> Result?) -> Result? {
        let nanoseconds = monotonicNanoseconds() &+ UInt64(max(timeoutMilliseconds, 0)) &* 1_000_000
        var deadline = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) {
                pthread_cond_broadcast(changed)
                return result
            }
            guard timeoutMilliseconds > 0 else { return nil }
            if pthread_cond_timedwait(changed, mutex, &deadline) == ETIMEDOUT {
                guard let result = body(&state) else { return nil }
                pthread_cond_broadcast(changed)
                return result
            }
        }
    }
}
