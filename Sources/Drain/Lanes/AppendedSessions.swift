// Which sessions this collector has appended ranges to, for the joining of their rows.
//
// Limits: `SessionLimits.sessionsMax` sessions; what finds no room is joined by the leader's sweep.

import Accounting
import Delivery
import FrameCodec
import Maintenance
import Synchronization

/// Sessions by the rows that were added to them. Safe from any thread.
package final class AppendedSessions: Sendable {
    /// A session is joined once it has this many more rows.
    private static let rowsMin = 64
    /// Sessions of one statement.
    private static let sessionsAtOnce = 100

    private struct Appended {
        var rows = 0
        /// The lowest sequence among them.
        var lowest = UInt64.max
    }

    private let sessions = Mutex<[SessionKey: Appended]>([:])

    package init() {}

    /// A batch with these frames is committed.
    package func note(_ frames: [SessionFrames]) {
        guard !frames.isEmpty else { return }
        sessions.withLock { sessions in
            // Short sessions are left to the sweep before they fill the table.
            if sessions.count >= SessionLimits.sessionsMax {
                sessions = sessions.filter { $0.value.rows >= Self.rowsMin }
            }
            for frames in frames {
                guard let lowest = frames.sequences.ranges.first?.lowerBound,
                    sessions.count < SessionLimits.sessionsMax || sessions[frames.key] != nil
                else { continue }
                var appended = sessions[frames.key] ?? Appended()
                appended.rows += frames.sequences.ranges.count
                appended.lowest = min(appended.lowest, lowest)
                sessions[frames.key] = appended
            }
        }
    }

    /// These were not joined after all.
    package func giveBack(_ windows: [SessionWindow]) {
        sessions.withLock { sessions in
            for window in windows {
                var appended = sessions[window.key] ?? Appended()
                appended.rows += Self.rowsMin
                appended.lowest = min(appended.lowest, window.firstEnd)
                sessions[window.key] = appended
            }
        }
    }

    /// Takes the sessions whose rows are worth joining, a few at a time.
    package func takeDue() -> [SessionWindow] {
        sessions.withLock { sessions in
            let due = Array(sessions.lazy.filter { $0.value.rows >= Self.rowsMin }.prefix(Self.sessionsAtOnce))
            for (key, _) in due { sessions[key] = nil }
            return due.map { SessionWindow($0.key, from: $0.value.lowest) }
        }
    }
}
