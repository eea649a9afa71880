import Testing

@testable import Drain

/// One line when a backlog has gone, and none for what a busy lane leaves for a moment.
@Suite struct SpillBacklogTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func theEndOfAReplayIsSaidOnce() {
        var backlog = SpillBacklog(recovered: 0, now: 0)
        #expect(backlog.observe(0, now: 0) == nil)
        #expect(backlog.observe(500, now: Self.second) == nil)
        #expect(backlog.observe(800, now: 10 * Self.second) == nil)
        #expect(backlog.observe(20, now: 20 * Self.second) == nil)
        let line = backlog.observe(0, now: 31 * Self.second)
        #expect(line == "the replay has ended: the spill is empty after 30 s, it held up to 800 records")
        #expect(backlog.observe(0, now: 32 * Self.second) == nil)
    }

    @Test func aShortWaitIsNotWorthALine() {
        var backlog = SpillBacklog(recovered: 0, now: 0)
        #expect(backlog.observe(500, now: Self.second) == nil)
        #expect(backlog.observe(0, now: 2 * Self.second - 1) == nil)
    }

    @Test func whatAnEarlierRunLeftHasItsEndHoweverSoon() {
        var backlog = SpillBacklog(recovered: 70, now: 0)
        #expect(
            backlog.observe(0, now: 1) == "the replay has ended: the spill is empty after 0 s, it held up to 70 records"
        )
        #expect(backlog.observe(5, now: 2) == nil && backlog.observe(0, now: 3) == nil)
    }
}
