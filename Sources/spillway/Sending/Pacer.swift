import Glibc
import LinuxSystem

/// Spreads records evenly over time: record n is due n / rate seconds after the start.
struct Pacer {
    private let recordsPerSecond: Double?
    private let start = monotonicNanoseconds()

    /// Sleeps shorter than this cost more than they give.
    private static let sleepNanosecondsMin: UInt64 = 200_000
    /// How often the sender should wake, so that the load is even.
    private static let framesPerSecondMin = 200.0

    /// - Parameter recordsPerSecond: nil does not wait.
    init(recordsPerSecond: Double?) { self.recordsPerSecond = recordsPerSecond }

    /// How many records a frame may have, so that a slow rate still comes evenly.
    func recordsPerFrame(atMost limit: Int) -> Int {
        guard let recordsPerSecond else { return limit }
        return max(1, min(limit, Int(recordsPerSecond / Self.framesPerSecondMin)))
    }

    /// How long until the record after so many is due, in nanoseconds; 0 when that is not worth a sleep.
    func nanosecondsUntilDue(afterRecords count: UInt64) -> UInt64 {
        guard let recordsPerSecond else { return 0 }
        let due = start + UInt64(Double(count) / recordsPerSecond * 1e9)
        let now = monotonicNanoseconds()
        return due > now + Self.sleepNanosecondsMin ? due - now : 0
    }

    var elapsedSeconds: Double { Double(monotonicNanoseconds() - start) / 1e9 }

    static func sleep(nanoseconds: UInt64) {
        var wanted = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        var rest = timespec()
        while nanosleep(&wanted, &rest) != 0, errno == EINTR { wanted = rest }
    }
}
