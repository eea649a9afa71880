import Glibc
import LinuxSystem

/// How long what came in may wait for more of its kind before it goes on: a pipe that stays open must not hold records back.
struct HoldBack {
    static let limitMilliseconds: Int32 = 250

    private var since: UInt64?

    /// Something waits from now on, if nothing did before.
    mutating func begin() { if since == nil { since = monotonicNanoseconds() } }

    /// Nothing waits any more.
    mutating func end() { since = nil }

    /// How long the oldest of what waits may still do so; -1, for ever, when nothing waits.
    var millisecondsLeft: Int32 {
        guard let since else { return -1 }
        let waited = (monotonicNanoseconds() - since) / 1_000_000
        return waited >= UInt64(Self.limitMilliseconds) ? 0 : Self.limitMilliseconds - Int32(waited)
    }
}
