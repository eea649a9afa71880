// The two clocks, as something that can be replaced: a simulation has its own time.

/// Where the time comes from.
package struct Clock: Sendable {
    /// Nanoseconds that never go back.
    package let nanoseconds: @Sendable () -> UInt64
    /// Microseconds since the Unix epoch.
    package let wallMicroseconds: @Sendable () -> Int64

    package init(nanoseconds: @escaping @Sendable () -> UInt64, wallMicroseconds: @escaping @Sendable () -> Int64) {
        self.nanoseconds = nanoseconds
        self.wallMicroseconds = wallMicroseconds
    }

    /// The machine's clocks.
    package static let system = Clock(
        nanoseconds: { monotonicNanoseconds() }, wallMicroseconds: { wallClockMicroseconds() })
}
