// How long a stop waits for the database.

import LinuxSystem
import Synchronization

/// Signals `giveUp` when the time is over, unless `end` came first.
final class ShutdownPatience: Sendable {
    private let ended: WakeEvent?
    private let thread: NamedThread?

    init(seconds: Int, giveUp: WakeEvent) {
        do throws(SystemCallError) {
            let ended = try WakeEvent()
            thread = try NamedThread(name: "patience") {
                if !ended.wait(timeoutMilliseconds: Int32(clamping: seconds * 1_000)) { giveUp.signal() }
            }
            self.ended = ended
        } catch {
            // No thread can be had: then there is no time to wait either.
            giveUp.signal()
            ended = nil
            thread = nil
        }
    }

    func end() {
        ended?.signal()
        thread?.join()
    }
}
