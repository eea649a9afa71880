// The two clocks that the collector reads: one for durations, one for the time of day.

import Glibc

/// Nanoseconds of CLOCK_MONOTONIC: for durations and deadlines, never for dates. About 20 ns a call.
@inlinable
public func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

/// Microseconds since the Unix epoch, UTC.
@inlinable
public func wallClockMicroseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
}
