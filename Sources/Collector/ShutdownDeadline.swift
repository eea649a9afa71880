// How long a stop waits: for the database, and then as long again at most for the disk.

import LinuxSystem

/// Runs `first` and signals `giveUp` when the time is over, and `second` when the disk has not helped either, unless `end`
/// came before.
final class ShutdownDeadline: Sendable {
    /// For the disk.
    private static let secondMilliseconds: Int32 = 5_000

    private let ended: WakeEvent?
    private let thread: NamedThread?

    init(
        seconds: Int, giveUp: WakeEvent, first: @escaping @Sendable () -> Void,
        second: @escaping @Sendable () -> Void
    ) {
        do throws(SystemCallError) {
            let ended = try WakeEvent()
            thread = try NamedThread(name: "patience") {
                guard !ended.wait(timeoutMilliseconds: Int32(clamping: seconds * 1_000)) else { return }
                first()
                giveUp.signal()
                guard !ended.wait(timeoutMilliseconds: Self.secondMilliseconds) else { return }
                second()
            }
            self.ended = ended
        } catch {
            // No thread can be had: then there is no time to wait either.
            first()
            giveUp.signal()
            second()
            ended = nil
            thread = nil
        }
    }

    func end() {
        ended?.signal()
        thread?.join()
    }
}
