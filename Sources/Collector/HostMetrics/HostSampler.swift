// What the host does, read from /proc: the collector's own `system` record. Rates are between two samples.
//
// Sources: proc(5) for /proc/stat, /proc/meminfo, /proc/net/dev, /proc/net/sockstat; statvfs(3) for the disk.

import FrameCodec
import Glibc
import LinuxSystem

/// Reads the host's load. Used by one thread.
package struct HostSampler {
    private let systemID: String
    /// The folder whose file system counts as the disk.
    private let diskPath: String
    private var lastCPU: (busy: UInt64, total: UInt64)?

    package init(systemID: String, diskPath: String = "/") {
        self.systemID = systemID.isEmpty ? Self.hostName() : systemID
        self.diskPath = diskPath
        lastCPU = Self.cpuTicks()
    }

    /// A sample. What cannot be read is absent.
    package mutating func sample() -> SystemRecord {
        var record = SystemRecord(time: wallClockMicroseconds())
        record.systemID = systemID
        if let now = Self.cpuTicks(), let before = lastCPU, now.total > before.total {
            record.cpuUsagePercent =
                Float(now.busy &- before.busy) / Float(now.total &- before.total) * 100
            lastCPU = now
        }
        record.memoryUsagePercent = Self.memoryUsagePercent()
        record.diskUsagePercent = Self.diskUsagePercent(diskPath)
        record.networkIoBytes = Self.networkBytes()
        record.activeConnections = Self.tcpConnections()
        return record
    }

    static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "localhost" }
    }

    /// Ticks of all processors together since the start: in work, and in all.
    private static func cpuTicks() -> (busy: UInt64, total: UInt64)? {
        guard let line = lines("/proc/stat").first(where: { $0.hasPrefix("cpu ") }) else { return nil }
        // user nice system idle iowait irq softirq steal; guest time is part of user time already.
        let fields = line.split(separator: " ").dropFirst().prefix(8).compactMap { UInt64($0) }
        guard fields.count == 8 else { return nil }
        let total = fields.reduce(0, &+)
        return (total &- fields[3] &- fields[4], total)
    }

    private static func memoryUsagePercent() -> Float? {
        var values: [Substring: Float] = [:]
        for line in lines("/proc/meminfo") {
            let parts = line.split(separator: " ")
            if parts.count >= 2, let value = Float(parts[1]) { values[parts[0]] = value }
        }
        guard let total = values["MemTotal:"], let available = values["MemAvailable:"], total > 0 else { return nil }
        return (total - available) / total * 100
    }

    private static func diskUsagePercent(_ path: String) -> Float? {
        var status = statvfs()
        guard statvfs(path, &status) == 0, status.f_blocks > 0 else { return nil }
        // As df shows it: what is used, of what is used or can be used by anybody.
        let used = Float(status.f_blocks - status.f_bfree)
        let available = Float(status.f_bavail)
        return used + available > 0 ? used / (used + available) * 100 : nil
    }

    /// Received and sent since the start, over all interfaces but loopback.
    private static func networkBytes() -> Int64? {
        var sum: Int64 = 0
        var found = false
        for line in lines("/proc/net/dev") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].filter { $0 != " " }
            let fields = line[line.index(after: colon)...].split(separator: " ")
            guard name != "lo", fields.count >= 9, let received = Int64(fields[0]), let sent = Int64(fields[8]) else {
                continue
            }
            sum &+= received &+ sent
            found = true
        }
        return found ? sum : nil
    }

    private static func tcpConnections() -> Int32? {
        for line in lines("/proc/net/sockstat") where line.hasPrefix("TCP:") {
            let parts = line.split(separator: " ")
            if let index = parts.firstIndex(of: "inuse"), index + 1 < parts.count { return Int32(parts[index + 1]) }
        }
        return nil
    }

    /// A small file of /proc, or nothing.
    private static func lines(_ path: String) -> [Substring] {
        textLines(readSmallFile(path) ?? "")
    }
}
