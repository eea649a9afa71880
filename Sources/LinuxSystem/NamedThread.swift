// A POSIX thread with a name and a join. The collector's receivers, drainer and lanes wait in system calls for most of
// their lives, which is what the cooperative pool of Swift concurrency must never do.

import CLinux
import Glibc

/// A thread that runs one closure to its end.
public final class NamedThread: Sendable {
    private let handle: pthread_t

    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts the thread. Signals are blocked in it, so that they reach the thread that handles them.
    ///
    /// - Parameter name: shown by `top -H` and `perf`; at most 15 bytes, longer names are cut.
    /// - Throws: `SystemCallError` when the kernel has no room for another thread.
    public init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemCallError) {
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }

        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                spillway_set_thread_name(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw SystemCallError(call: "pthread_create", code: code, object: name)
        }
        handle = thread
    }

    /// Waits for the closure's end. Call it or `detach` exactly once for each thread.
    public func join() {
        pthread_join(handle, nil)
    }

    /// Leaves the thread to end by itself.
    public func detach() {
        pthread_detach(handle)
    }
}
