// A collector that runs beside the test.

import Accounting
import Foundation
import Testing

/// `/stats` of a collector, as far as the tests look at it.
struct Stats: Decodable {
    struct Source: Decodable {
        let source: String
        let totals: [String: Int]
        let frames_refused: [String: Int]
    }

    let totals: [String: Int]
    let frames_refused: [String: Int]
    let gauges: [String: Double]
    let sources: [Source]
    let not_ready: [String]
    let warnings: [String]
    let database: String?

    subscript(name: String) -> Int { totals[name] ?? -1 }

    /// What was received and is neither stored nor in the spill nor counted as lost.
    var unaccounted: Int {
        Balance.settled.reduce(self["records_received"] - self[Balance.inSpill]) { $0 - self[$1.counter.name] }
    }
}

struct CollectorFailure: Error, CustomStringConvertible {
    let description: String
}

final class CollectorProcess {
    private let process = Process()
    private let log: URL
    let readyLine: String
    private var isStopped = false
    private let isTraced: Bool

    /// Starts `spillway serve` on free ports and waits until it is ready.
    ///
    /// - Parameters:
    ///   - tracer: a program and its arguments that runs the collector, for example strace.
    ///   - usesDefaultSpill: in the state directory that the environment names.
    init(
        _ arguments: [String], environment: [String: String] = [:], tracer: [String] = [],
        usesDefaultSpill: Bool = false
    ) throws {
        log = try Programs.temporaryFile("log")
        let ports = ["--udp", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        let given = Set(arguments)
        var all = ["serve"]
        for index in stride(from: 0, to: ports.count, by: 2) where !given.contains(ports[index]) {
            all += ports[index...index + 1]
        }
        // A directory of its own, since the default one is the machine's.
        if !usesDefaultSpill, !given.contains("--spill-directory"), !given.contains("discard") {
            all += ["--spill-directory", try Programs.temporaryFolder("spill")]
        }
        if !given.contains("--system-metrics") { all += ["--system-metrics", "false"] }
        process.executableURL = tracer.isEmpty ? Programs.spillway : URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = tracer + (tracer.isEmpty ? [] : [Programs.spillway.path]) + all + arguments
        isTraced = !tracer.isEmpty
        process.environment = Programs.cleanEnvironment(
            // What other collectors of this machine have left is no test's business.
            ["XDG_STATE_HOME": try Programs.temporaryFolder("state")].merging(environment) { $1 })
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: log)
        try process.run()
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), byte != Data("\n".utf8) { line += byte }
        readyLine = String(decoding: line, as: UTF8.self)
        guard readyLine.hasPrefix("ready") else {
            process.waitUntilExit()
            isStopped = true
            throw CollectorFailure(
                description: "no ready line, exit \(process.terminationStatus): "
                    + String(decoding: try Data(contentsOf: log), as: UTF8.self))
        }
    }

    deinit {
        if !isStopped { _ = stop(SIGKILL) }
        unlink(log.path)
    }

    /// The address behind `udp=`, `tcp=` or `http=` of the ready line.
    func address(_ name: String) throws -> String {
        let part = readyLine.split(separator: " ").first { $0.hasPrefix(name + "=") }
        return String(try #require(part).dropFirst(name.count + 1))
    }

    /// The collector's, not its tracer's.
    var processID: Int32 {
        guard isTraced else { return process.processIdentifier }
        let tracer = process.processIdentifier
        let children: String
        do {
            children = try String(contentsOfFile: "/proc/\(tracer)/task/\(tracer)/children", encoding: .utf8)
        } catch {
            return tracer
        }
        return children.split(separator: " ").first.flatMap { Int32($0) } ?? tracer
    }

    var isRunning: Bool { process.isRunning }

    private var lastWords: String {
        process.terminationReason == .exit
            ? "has ended with \(process.terminationStatus)" : "was ended by signal \(process.terminationStatus)"
    }

    var logText: String {
        do { return String(decoding: try Data(contentsOf: log), as: UTF8.self) } catch { return "\(error)" }
    }

    /// Ends the process and waits for it.
    ///
    /// - Returns: its exit status.
    func stop(_ signal: Int32 = SIGTERM) -> Int32 {
        if !isStopped {
            kill(processID, signal)
            process.waitUntilExit()
            isStopped = true
        }
        return process.terminationStatus
    }

    /// Answers of the HTTP side: status and body.
    func get(_ path: String) throws -> (status: Int, body: String) {
        let result = try Shell.run([
            "curl", "-s", "-m", "10", "-w", "\n%{http_code}", "http://\(try address("http"))\(path)",
        ])
        guard let end = result.lastIndex(of: "\n"), let status = Int(result[result.index(after: end)...]) else {
            throw CollectorFailure(description: "no answer to \(path): \(result)")
        }
        guard status > 0 else {
            throw CollectorFailure(
                description: "no answer to \(path), the collector \(isRunning ? "runs" : lastWords): \(logText)")
        }
        return (status, String(result[..<end]))
    }

    func stats() throws -> Stats {
        try JSONDecoder().decode(Stats.self, from: Data(get("/stats").body.utf8))
    }

    /// Waits until `condition` holds for the statistics, at most so long.
    func waitForStats(seconds: Double = 60, _ condition: (Stats) -> Bool) throws -> Stats {
        let deadline = Date().addingTimeInterval(seconds)
        while true {
            let stats = try stats()
            if condition(stats) { return stats }
            guard Date() < deadline else {
                throw CollectorFailure(description: "not within \(seconds) s: \(stats)\n\(logText)")
            }
            usleep(50_000)
        }
    }
}

/// Other programs of the machine.
enum Shell {
    static func run(_ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        let output = try Programs.temporaryFile("shell")
        defer { unlink(output.path) }
        process.standardOutput = try FileHandle(forWritingTo: output)
        try process.run()
        process.waitUntilExit()
        return String(decoding: try Data(contentsOf: output), as: UTF8.self)
    }
}
