// Asks the database what it has of sessions that this run has not seen, so that their welcomes can say it. A thread of its own:
// a database that is slow to answer holds up neither connections nor lanes. Where it does not answer in time, the welcome says
// less, and the lane that stores the session's frames asks again.

import Delivery
import FrameCodec
import LinuxSystem
import Listeners
import Synchronization
import TimescaleStore

/// Who asks for sessions.
final class SessionInquirer: Sendable {
    private static let lookMilliseconds: Int32 = 1_000

    private let desk: SessionDesk
    private let makeSession: @Sendable () -> LaneSession
    private let wake: WakeEvent
    private let isStopping = Atomic(false)

    /// - Parameter wake: what the desk was told to signal.
    init(desk: SessionDesk, wake: WakeEvent, session: @escaping @Sendable () -> LaneSession) {
        self.desk = desk
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
            let keys = desk.takeQuestions()
            guard !keys.isEmpty else { continue }
            do throws(DatabaseError) {
                desk.asked(try session.storedFrames(of: keys))
            } catch {
                // The lanes say that the database is away.
                session = makeSession()
                desk.notAnswered(keys)
            }
        }
    }
}
