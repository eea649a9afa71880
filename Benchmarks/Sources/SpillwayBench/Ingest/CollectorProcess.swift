// The collector as a child process: started on free ports, asked over HTTP, ended by SIGTERM and waited for.

import CFloor
import Foundation

/// A running collector.
struct CollectorProcess: Target, ~Copyable {
    static let discardName = "spillway serve, decode and discard"
    var name: String { Self.discardName }
    /// For datagrams; 0 without.
    let port: UInt16
    /// For connections; 0 without.
    let tcpPort: UInt16
    private let httpPort: UInt16
    private let process: Process
    private static let startSecondsMax = 20.0
    /// As by default on two cores, so that the figures are of the same collector on any machine.
    private static let threads = ["--udp-threads", "1", "--ring-bytes", "\(32 << 20)"]

    /// One that decodes records and drops them.
    ///
    /// - Parameter receiveBufferBytes: for the socket, the same as the bare receiver has.
    init(program: String, receiveBufferBytes: Int, _ more: [String] = []) throws(IngestError) {
        try self.init(
            program: program, udp: true, tcp: false,
            ["--database", "discard", "--receive-buffer", "\(receiveBufferBytes)"] + more)
    }

    /// - Parameter arguments: of `serve`, beside its addresses.
    init(program: String, udp: Bool, tcp: Bool, _ arguments: [String]) throws(IngestError) {
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw .collector("there is no program at \(program): swift build -c release --product spillway")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments =
            [
                "serve", "--udp", udp ? "127.0.0.1:0" : "none", "--tcp", tcp ? "127.0.0.1:0" : "none", "--http",
                "127.0.0.1:0", "--system-metrics", "false", "--log-level", "warning",
            ] + Self.threads + (arguments.contains("--lanes") ? [] : ["--lanes", "2"]) + arguments
        let output = Pipe()
        process.standardOutput = output
        do {
            try process.run()
        } catch {
            throw .collector("the collector did not start: \(error)")
        }
        floor_guard_child(process.processIdentifier)
        let line = Self.readyLine(output.fileHandleForReading.fileDescriptor)
        let ports = line.map { (udp: Self.port("udp", $0), tcp: Self.port("tcp", $0)) }
        guard let line, let ports, let http = Self.port("http", line), udp == (ports.udp != nil),
            tcp == (ports.tcp != nil)
        else {
            Self.end(process)
            throw .collector("the collector did not say that it is ready: \(line ?? "nothing")")
        }
        self.process = process
        port = ports.udp ?? 0
        tcpPort = ports.tcp ?? 0
        httpPort = http
    }

    deinit { Self.end(process) }

    private static func end(_ process: Process) {
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
        floor_guard_child(0)
    }

    /// The first line, read byte by byte so that a line that does not come is given up.
    private static func readyLine(_ descriptor: Int32) -> String? {
        let deadline = Date().addingTimeInterval(startSecondsMax)
        var line: [UInt8] = []
        while Date() < deadline {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, 100) > 0 else { continue }
            var byte: UInt8 = 0
            guard read(descriptor, &byte, 1) == 1 else { return nil }
            guard byte == UInt8(ascii: "\n") else {
                line.append(byte)
                continue
            }
            let text = String(decoding: line, as: UTF8.self)
            if text.hasPrefix("ready ") { return text }
            line.removeAll()
        }
        return nil
    }

    /// `ready udp=127.0.0.1:4711 http=127.0.0.1:4712 database=discard`
    private static func port(_ name: String, _ line: String) -> UInt16? {
        line.split(separator: " ").first { $0.hasPrefix(name + "=") }?.split(separator: ":").last.flatMap { UInt16($0) }
    }

    private struct Statistics: Decodable {
        let totals: [String: UInt64]
    }

    var processID: Int32 { process.processIdentifier }

    /// The sums of `/stats`.
    func totals() throws(IngestError) -> [String: UInt64] {
        let body = try httpGet("/stats", port: httpPort)
        do {
            return try JSONDecoder().decode(Statistics.self, from: Data(body)).totals
        } catch {
            throw .collector("/stats is not what is expected: \(error)")
        }
    }

    /// One of the sums of `/stats`.
    func total(_ name: String) throws(IngestError) -> UInt64 { try Self.total(name, of: totals()) }

    private static func total(_ name: String, of totals: [String: UInt64]) throws(IngestError) -> UInt64 {
        guard let value = totals[name] else { throw .collector("/stats has no total \(name)") }
        return value
    }

    func counts() throws(IngestError) -> ReceiverCounts {
        let totals = try totals()
        return ReceiverCounts(
            datagrams: try Self.total("frames_received", of: totals),
            records: try Self.total("records_committed", of: totals),
            kernelDrops: try Self.total("kernel_drops", of: totals),
            otherDrops: try Self.total("ring_full_drop_frames", of: totals), cpuSeconds: try cpuSeconds())
    }

    /// User and system time of all threads.
    func cpuSeconds() throws(IngestError) -> Double {
        guard let seconds = processCPUSeconds(processID) else { throw .collector("the collector has ended") }
        return seconds
    }
}
