// What else the machine has to do: the processors' time by /proc/stat.

import Foundation

/// Processor time of all cores since the machine's start, in ticks.
struct MachineTimes {
    private(set) var busy: UInt64 = 0
    private(set) var idle: UInt64 = 0
    /// A virtual machine's: when it wanted to run and its host ran something else.
    private(set) var stolen: UInt64 = 0

    /// Now; all zero where /proc/stat cannot be read.
    static func now() -> MachineTimes {
        var times = MachineTimes()
        guard let data = FileManager.default.contents(atPath: "/proc/stat"),
            let line = String(decoding: data, as: UTF8.self).split(separator: "\n").first
        else { return times }
        // cpu user nice system idle iowait irq softirq steal guest guest_nice; the guests' are in user and nice already.
        let fields = line.split(separator: " ").dropFirst().compactMap { UInt64($0) }
        guard fields.count >= 8 else { return times }
        times.idle = fields[3] + fields[4]
        times.stolen = fields[7]
        times.busy = fields[0] + fields[1] + fields[2] + fields[5] + fields[6]
        return times
    }

    private func percent(_ part: KeyPath<MachineTimes, UInt64>, since start: MachineTimes) -> Double {
        let all = (busy + idle + stolen) - (start.busy + start.idle + start.stolen)
        return all == 0 ? 0 : Double(self[keyPath: part] - start[keyPath: part]) * 100 / Double(all)
    }

    func busyPercent(since start: MachineTimes) -> Double { percent(\.busy, since: start) }
    func stolenPercent(since start: MachineTimes) -> Double { percent(\.stolen, since: start) }

    /// Over this others are at work.
    static let quietPercentMax = 5.0
    private static let lookMicroseconds: UInt32 = 1_000_000
    static let patienceSeconds = 60

    /// Waits until the machine does nothing: a build that has just ended leaves work behind.
    ///
    /// - Parameter seconds: how long at most, from 1.
    /// - Returns: how busy it was in the last second, in percent of all cores.
    static func waitUntilQuiet(seconds: Int) -> Double {
        var busy = 100.0
        for second in 1...seconds {
            let start = now()
            usleep(lookMicroseconds)
            busy = now().busyPercent(since: start)
            if busy <= quietPercentMax || second == seconds { break }
            progress("waiting for the machine to be quiet: \(Int(busy)) % busy, \(second) of \(seconds) s")
        }
        progressEnd()
        return busy
    }
}
