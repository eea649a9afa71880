// Asks the database what it has of sessions that this run has not seen, so that their welcomes can say it. A thread of its own:
// a database that is slow to answer holds up neither connections nor lanes. Where it does not answer in time, the welcome says
// less, and the lane that stores the session's frames asks again.

import Delivery
import Drain
import FrameCodec
import LinuxSystem
import Postgres
import Synchronization

/// Who asks for sessions.
final class SessionLookup: Sendable {
    private static let lookMilliseconds: Int32 = 1_000
    /// Sessions of one query: what bounds the answer's memory.
    private static let sessionsAtOnce = 16

    private let registry: SessionRegistry
    private let makeSession: @Sendable () -> DatabaseSink
    private let wake: WakeEvent
    private let isStopping = Atomic(false)

    /// - Parameter wake: signalled by the registry when there is something to look up.
    init(registry: SessionRegistry, wake: WakeEvent, session: @escaping @Sendable () -> DatabaseSink) {
        self.registry = registry
        makeSession = session
        self.wake = wake
    }

    func stop() {
        // Pairs with the acquiring load in `run`.
        isStopping.store(true, ordering: .releasing)
        wake.signal()
    }

    /// Runs until `stop`.
    func run() {
        var session = makeSession()
        while !isStopping.load(ordering: .acquiring) {
            if wake.wait(timeoutMilliseconds: Self.lookMilliseconds) { wake.consume() }
            let keys = registry.takeLookups()
            for start in stride(from: 0, to: keys.count, by: Self.sessionsAtOnce) {
                ask(Array(keys[start..<min(start + Self.sessionsAtOnce, keys.count)]), &session)
            }
        }
    }

    private func ask(_ keys: [SessionKey], _ session: inout DatabaseSink) {
        do throws(DatabaseError) {
            registry.lookupFound(try session.storedFrames(of: keys))
        } catch {
            // The lanes say that the database is away.
            session = makeSession()
            registry.lookupFailed(keys)
        }
    }
}
