// The state of a table that accepts nothing.

/// Why no rows are sent to a table, and when it is tried again.
package struct TableHold: Equatable, Sendable {
    /// Between two trials, in nanoseconds: it doubles from the first to the last.
    static let retryFirstNanoseconds: UInt64 = 1_000_000_000
    static let retryLastNanoseconds: UInt64 = 16_000_000_000

    /// One line: what the server says, and what to do.
    package internal(set) var reason: String
    /// Trials that failed.
    package internal(set) var attempts: Int
    /// When the next trial is due, in monotonic nanoseconds.
    package internal(set) var retryAt: UInt64
    /// The lane whose batch is the trial that runs now.
    var triedBy: Int?

    init(reason: String, attempts: Int, now: UInt64) {
        self.reason = reason
        self.attempts = attempts
        let wait = Self.retryFirstNanoseconds << UInt64(min(attempts - 1, 16))
        retryAt = now &+ min(wait, Self.retryLastNanoseconds)
    }

    /// A trial that settles nothing, for example since its lane lost the database, is followed by the next one after this wait.
    mutating func beginTrial(_ lane: Int, now: UInt64) {
        triedBy = lane
        retryAt = now &+ Self.retryFirstNanoseconds
    }
}
