// What other processes take of the machine.

import Foundation

/// Seconds that all threads of a process have computed, by the kernel's own clock of it; nil when it has ended.
func processCPUSeconds(_ process: Int32) -> Double? {
    var clock = clockid_t()
    var time = timespec()
    guard clock_getcpuclockid(process, &clock) == 0, clock_gettime(clock, &time) == 0 else { return nil }
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Memory of a process that lies in RAM, in bytes; nil when it has ended.
func residentBytes(_ process: Int32) -> UInt64? {
    processStatus(process, "VmRSS").map { $0 << 10 }
}

/// The most that it was since the start, in bytes.
func residentBytesMax(_ process: Int32) -> UInt64? {
    processStatus(process, "VmHWM").map { $0 << 10 }
}

/// A line of /proc/PID/status that has a number.
private func processStatus(_ process: Int32, _ name: String) -> UInt64? {
    guard let data = FileManager.default.contents(atPath: "/proc/\(process)/status") else { return nil }
    let line = String(decoding: data, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(name + ":") }
    return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { UInt64($0) }
}

/// The fields of /proc/PID/stat behind the name, which may hold anything: the state is the first.
func processFields(_ process: Int32) -> [Substring]? {
    guard let data = FileManager.default.contents(atPath: "/proc/\(process)/stat") else { return nil }
    return String(decoding: data, as: UTF8.self).split(separator: ")").last?.split(separator: " ").map { $0 }
}

/// Seconds of a process, of its children, and of those children that have ended and were waited for: what a server with
/// a process for each connection takes. The ended ones count in ticks of 10 ms. Waits until no child is about to end.
func familyCPUSeconds(_ parent: Int32) -> Double? {
    var children = childProcesses(parent)
    for _ in 0..<familyLooksMax {
        usleep(20_000)
        let now = childProcesses(parent)
        if now == children { break }
        children = now
    }
    guard let own = processCPUSeconds(parent), let fields = processFields(parent), fields.count > 14,
        let user = Double(fields[13]), let system = Double(fields[14])
    else { return nil }
    let ended = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    return children.reduce(own + ended) { $0 + (processCPUSeconds($1) ?? 0) }
}

private let familyLooksMax = 50

private func childProcesses(_ parent: Int32) -> [Int32] {
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: "/proc") } catch { return [] }
    return names.compactMap { Int32($0) }.filter { processFields($0)?.dropFirst().first == "\(parent)" }.sorted()
}
