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
    /// How busy it was before measuring began, in percent of all cores.
    let busyPercentBefore: Double
    /// "always", "madvise" or "never": whether large pages are given, and to whom.
    let hugePages: String
    /// Versions of what is measured against and of what is measured with, by package.
    let packages: [String: String]

    private static let packageNames = [
        "libboost-dev", "libconcurrentqueue-dev", "libc6", "liblz4-1", "libpq5", "postgresql-15",
    ]

    /// Waits for a machine that has other work, a minute at most; not for a quick run.
    init(quick: Bool) {
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
        hugePages =
            Self.text("/sys/kernel/mm/transparent_hugepage/enabled").split(separator: "[").last
            .map { String($0.prefix { $0 != "]" }) } ?? ""
        packages = Self.versions(of: Self.packageNames)
        let version = Self.output("swiftc", ["--version"]).split(separator: "\n").first { $0.contains("Swift") }
        swift = version.map(String.init) ?? ""
        commit = Self.output("git", ["-C", packageDirectory, "rev-parse", "--verify", "--quiet", "HEAD"])
            .trimmingCharacters(in: .newlines)
        dirty = !Self.output("git", ["-C", packageDirectory, "status", "--porcelain"]).isEmpty
        // Last: what was asked above is work as well.
        busyPercentBefore = MachineTimes.waitUntilQuiet(seconds: quick ? 1 : MachineTimes.patienceSeconds)
    }

    var text: String {
        let versions = packages.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        let gibibytes = fixed(Double(memoryBytes) / 1_073_741_824, decimals: 1)
        return """
            \(cores) cores, \(cpu), Linux \(kernel), \(gibibytes) GiB
            \(swift); commit \(commit.isEmpty ? "none" : commit)\(dirty ? " with changes" : ""); \
            \(short(busyPercentBefore)) % busy before
            \(versions); large pages: \(hugePages)
            """
    }

    /// Of those that are installed.
    private static func versions(of packages: [String]) -> [String: String] {
        var versions: [String: String] = [:]
        for line in output("dpkg-query", ["-W", "-f", "${Package} ${Version}\\n"] + packages).split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            if words.count == 2 { versions[words[0]] = words[1] }
        }
        return versions
    }

    /// A small file of /proc; empty where it cannot be read, which the table then shows.
    private static func text(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// What a program prints; empty where there is none, or where it fails and prints nothing.
    private static func output(_ program: String, _ arguments: [String]) -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
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
        // dpkg-query fails where it knows one of the packages not, and tells of the others.
        return String(decoding: data, as: UTF8.self)
    }
}

/// The Benchmarks folder, as it was when this was built.
let packageDirectory = {
    var url = URL(fileURLWithPath: #filePath)
    // Measuring, SpillwayBench, Sources, and this file.
    for _ in 0..<4 { url.deleteLastPathComponent() }
    return url.path
}()
