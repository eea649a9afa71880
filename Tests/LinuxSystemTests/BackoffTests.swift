import Testing

@testable import LinuxSystem

@Suite struct BackoffTests {
    @Test func waitsDoubleUpToTheLimitAndStartAgainAfterAReset() {
        var generator = SystemRandomNumberGenerator()
        var backoff = Backoff()
        var step = Backoff.firstMilliseconds
        for _ in 0..<12 {
            let wait = backoff.next(using: &generator)
            #expect(wait >= step / 2 && wait <= step)
            step = min(step * 2, Backoff.lastMilliseconds)
        }
        #expect(step == Backoff.lastMilliseconds)
        backoff.reset()
        #expect(backoff.next(using: &generator) <= Backoff.firstMilliseconds)
    }
}
