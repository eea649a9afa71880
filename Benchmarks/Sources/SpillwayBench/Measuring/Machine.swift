// Where figures were measured, and of what: a figure without this is a rumour.

import Foundation

/// The machine and the versions.
struct Machine: Codable {
    let cores: Int
    let cpu: String
    let kernel: String
    let memoryBytes: UInt64
    let swift: String
    let commit: String
    /// Whether the work tree differs from the commit.
    let dirty: Bool
    /// Programs that wanted the cores when measuring began: over 0.5 means that others were at work.
    let loadAverage: Double

    init() {
        var count = 0
        var model = "unknown"
        for line in Self.text("/proc/cpuinfo").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.count == 2 else { continue }
            if parts[0] == "processor" { count += 1 }
            if parts[0] == "model name" { model = parts[1] }
        }
        cores = count
        cpu = model
        kernel = Self.text("/proc/sys/kernel/osrelease").trimmingCharacters(in: .whitespacesAndNewlines)
        memoryBytes = ProcessInfo.processInfo.physicalMemory
        loadAverage = Double(Self.text("/proc/loadavg").prefix { $0 != " " }) ?? 0
        let version = Self.output("swiftc", "--version").split(separator: "\n").first { $0.contains("Swift") }
        swift = version.map(String.init) ?? ""
        commit = Self.output("git", "-C", packageDirectory, "rev-parse", "HEAD").trimmingCharacters(in: .newlines)
        dirty = !Self.output("git", "-C", packageDirectory, "status", "--porcelain").isEmpty
    }

    var text: String {
        let gibibytes = fixed(Double(memoryBytes) / 1_073_741_824, decimals: 1)
        return """
            \(cores) cores, \(cpu), Linux \(kernel), \(gibibytes) GiB
            \(swift); commit \(commit.isEmpty ? "none" : commit)\(dirty ? " with changes" : ""); \
            load average \(loadAverage) before
            """
    }

    /// A small file of /proc; empty where it cannot be read, which the table then shows.
    private static func text(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    private static func output(_ arguments: String...) -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            return ""
        }
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self) : ""
    }
}

/// The Benchmarks folder, as it was when this was built.
let packageDirectory = {
    var url = URL(fileURLWithPath: #filePath)
    // Measuring, SpillwayBench, Sources, and this file.
    for _ in 0..<4 { url.deleteLastPathComponent() }
    return url.path
}()
