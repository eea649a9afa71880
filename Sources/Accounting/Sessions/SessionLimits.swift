// How many sessions the collector keeps in memory, and how much of each.

import FrameCodec

/// The one budget of sessions.
///
/// The registry of TCP sessions and the sequence windows of the accounting each keep up to `sessionsMax` of them, and a
/// formula of their memory starts from the same numbers. What is forgotten to keep the budget is durable or counted.
package enum SessionLimits {
    /// Sessions of all sources together.
    package static let sessionsMax = 65_536
    /// Ranges of sequences that the registry keeps of a session.
    package static let rangesPerSessionMax = FrameLimits.rangesMax
}
