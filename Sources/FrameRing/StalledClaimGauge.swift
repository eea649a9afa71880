/// For how long the consumer has been held up by a claim that is not published.
///
/// It watches positions from outside, with the poller's clock: producers pay nothing for it. An age is as exact as
/// the poll is frequent, and never too high: it counts from the first poll that saw the claim at the head. One that is
/// still behind published claims is seen when the consumer has come to it.
public struct StalledClaimGauge: ~Copyable {
    private let ring: FrameRing
    private var stalled: (position: UInt64, sinceNanoseconds: UInt64)?

    public init(ring: FrameRing) {
        self.ring = ring
    }

    /// The age of the unpublished claim at the ring's head, in nanoseconds; 0 where there is none.
    ///
    /// - Parameter nowNanoseconds: a monotonic clock's reading, the same clock for each call.
    /// - Complexity: O(1).
    public mutating func ageNanoseconds(nowNanoseconds: UInt64) -> UInt64 {
        guard let position = ring.unpublishedHead else {
            stalled = nil
            return 0
        }
        guard let stalled, stalled.position == position, stalled.sinceNanoseconds <= nowNanoseconds else {
            stalled = (position, nowNanoseconds)
            return 0
        }
        return nowNanoseconds - stalled.sinceNanoseconds
    }
}
