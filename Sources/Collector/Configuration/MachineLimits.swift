// What this process may use of its machine: the cores that it is bound to and the machine's memory, or what its control group
// and those above give it, if that is less.

import LinuxSystem

/// Cores and memory.
struct MachineLimits: Equatable {
    var cores: Int
    var memoryBytes: Int

    static let here = MachineLimits(readSmallFile)

    init(cores: Int, memoryBytes: Int) {
        self.cores = cores
        self.memoryBytes = memoryBytes
    }

    /// - Parameter text: what a file holds; nil where there is none.
    init(_ text: (_ path: String) -> String?) {
        cores = Self.value("Cpus_allowed_list:", in: text("/proc/self/status")).map(Self.count) ?? 1
        let kilobytes = Self.value("MemTotal:", in: text("/proc/meminfo"))?.split(separator: " ").first
        memoryBytes = kilobytes.flatMap { Int($0) }.map { $0 * 1_024 } ?? 1 << 30
        for group in Self.groups(text("/proc/self/cgroup") ?? "") {
            // For example `150000 100000`: so many microseconds of so many. `max` is no limit.
            let quota = (text("/sys/fs/cgroup\(group)cpu.max") ?? "").split(whereSeparator: \.isWhitespace)
            if quota.count == 2, let time = Int(quota[0]), let period = Int(quota[1]), period > 0 {
                cores = min(cores, max((time + period - 1) / period, 1))
            }
            let memory = textLines(text("/sys/fs/cgroup\(group)memory.max") ?? "").first
            if let bytes = memory.flatMap({ Int($0) }) { memoryBytes = min(memoryBytes, bytes) }
        }
    }

    private static func value(_ name: String, in text: String?) -> Substring? {
        let line = text.flatMap { textLines($0).first { $0.hasPrefix(name) } }
        return line.map { $0.dropFirst(name.count).drop { $0 == " " || $0 == "\t" } }
    }

    /// How many are in a list like `0-3,8`.
    private static func count(_ list: Substring) -> Int {
        list.split(separator: ",").reduce(0) { count, range in
            let ends = range.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, last >= first else { return count }
            return count + last - first + 1
        }
    }

    /// The folders of the process's group and of those above, with a slash at both ends. Version 2 of control groups only.
    private static func groups(_ text: String) -> [String] {
        guard let line = textLines(text).first(where: { $0.hasPrefix("0::/") }) else { return [] }
        var names = line.dropFirst("0::/".count).split(separator: "/")
        var groups = ["/"]
        while !names.isEmpty {
            groups.append("/" + names.joined(separator: "/") + "/")
            names.removeLast()
        }
        return groups
    }
}
