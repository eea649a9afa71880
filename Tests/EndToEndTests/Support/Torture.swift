// How long the trials of the crash tests are, and what they share.

import Foundation
import Postgres
import Testing
import TestSupport

enum Torture {
    /// The long form, by SPILLWAY_TORTURE=1.
    static let isLong = ProcessInfo.processInfo.environment["SPILLWAY_TORTURE"] == "1"

    static func count(_ short: Int, _ long: Int) -> Int { isLong ? long : short }

    /// A seed that the environment names, or one that is printed.
    static func generator(_ name: String) -> SeededGenerator {
        let seed =
            ProcessInfo.processInfo.environment["SPILLWAY_SEED"].flatMap { UInt64($0) } ?? .random(in: .min ... .max)
        print("\(name): seed \(seed)")
        return SeededGenerator(seed: seed)
    }

    /// A TCP port that nobody listens on now.
    static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 ? getsockname(descriptor, address, &length) : -1
            }
        }
        guard result == 0 else { throw CollectorFailure(description: "no free port: \(errno)") }
        return UInt16(bigEndian: name.sin_port)
    }

    /// Sends records of kind routing, each with a query_id of its own, and wants each acknowledged.
    static func sender(_ port: UInt16, count: Int, rate: Int, _ more: [String] = []) throws -> Process {
        let process = Process()
        process.executableURL = Programs.spillway
        process.arguments =
            [
                "send", "--to", "tcp://127.0.0.1:\(port)", "--acknowledged", "--generate", "routing", "--count",
                "\(count)", "--rate", "\(rate)", "--records-per-frame", "50", "--json",
            ] + more
        process.environment = Programs.cleanEnvironment([:])
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        return process
    }

    /// Rows in all, and different ones.
    static func rows(_ location: DatabaseLocation) throws -> (all: Int, distinct: Int) {
        let row = try DatabaseConnection(location).query(
            "SELECT count(*), count(DISTINCT query_id) FROM metrics.routing_metrics")[0]
        return (try #require(row[0].flatMap { Int($0) }), try #require(row[1].flatMap { Int($0) }))
    }

    /// Waits for a process's end, so long at most.
    static func wait(_ process: Process, seconds: Double) -> Bool {
        let deadline = Date().addingTimeInterval(seconds)
        while process.isRunning, Date() < deadline { usleep(10_000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        return process.terminationReason == .exit && process.terminationStatus == 0
    }
}
