// How long to wait before the next attempt: twice as long each time up to a limit, with a random part so that lanes and
// collectors that failed together do not return together.

/// The waits between attempts. A plain value without a clock.
package struct Backoff {
    package static let firstMilliseconds = 100
    package static let lastMilliseconds = 5_000

    private var base = firstMilliseconds

    package init() {}

    /// The next wait in milliseconds: between half of the present step and the whole of it.
    package mutating func next(using generator: inout some RandomNumberGenerator) -> Int {
        let wait = Int.random(in: base / 2...base, using: &generator)
        base = min(base * 2, Self.lastMilliseconds)
        return wait
    }

    package mutating func reset() { base = Self.firstMilliseconds }
}
