// The collector's main thread joins threads, which the cooperative pool must never do; the few asynchronous calls that it
// needs run in the pool while it waits.

import LinuxSystem
import Synchronization

/// Runs `body` in a task and waits for its end. Only for threads outside of the cooperative pool.
func waitForTask<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
    let box = TaskBox<Value>(done: try WakeEvent())
    Task.detached {
        let outcome: Result<Value, any Error>
        do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
        box.result.withLock { $0 = outcome }
        box.done.signal()
    }
    while !box.done.wait(timeoutMilliseconds: 60_000) {}
    guard let outcome = box.result.withLock({ $0 }) else { preconditionFailure("signalled behind the result") }
    return try outcome.get()
}

/// What the task and the waiting thread share.
private final class TaskBox<Value: Sendable>: Sendable {
    let done: WakeEvent
    let result = Mutex<Result<Value, any Error>?>(nil)

    init(done: WakeEvent) { self.done = done }
}
