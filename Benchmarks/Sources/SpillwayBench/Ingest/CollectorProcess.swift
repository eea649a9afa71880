// The collector as a child process: started on free ports, asked over HTTP, ended by SIGTERM and waited for.

import CFloor
import Foundation

/// A running collector that decodes records and drops them.
struct CollectorProcess: Target, ~Copyable {
    let name = "spillway serve, decode and discard"
    let port: UInt16
    private let httpPort: UInt16
    private let process: Process
    private static let startSecondsMax = 20.0
    private static let tickSeconds = 1.0 / Double(sysconf(Int32(_SC_CLK_TCK)))

    /// - Parameter receiveBufferBytes: for the socket, the same as the bare receiver has.
    init(program: String, receiveBufferBytes: Int) throws(IngestError) {
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw .collector("there is no program at \(program): swift build -c release --product spillway")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = [
            "serve", "--udp", "127.0.0.1:0", "--tcp", "none", "--http", "127.0.0.1:0", "--database", "discard",
            "--system-metrics", "false", "--receive-buffer", "\(receiveBufferBytes)", "--log-level", "warning",
        ]
        let output = Pipe()
        process.standardOutput = output
        do {
            try process.run()
        } catch {
            throw .collector("the collector did not start: \(error)")
        }
        floor_guard_child(process.processIdentifier)
        let line = Self.readyLine(output.fileHandleForReading.fileDescriptor)
        guard let line, let udp = Self.port("udp", line), let http = Self.port("http", line) else {
            Self.end(process)
            throw .collector("the collector did not say that it is ready: \(line ?? "nothing")")
        }
        self.process = process
        port = udp
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

    func counts() throws(IngestError) -> ReceiverCounts {
        let body = try httpGet("/stats", port: httpPort)
        let totals: [String: UInt64]
        do {
            totals = try JSONDecoder().decode(Statistics.self, from: Data(body)).totals
        } catch {
            throw .collector("/stats is not what is expected: \(error)")
        }
        func total(_ name: String) throws(IngestError) -> UInt64 {
            guard let value = totals[name] else { throw .collector("/stats has no total \(name)") }
            return value
        }
        return ReceiverCounts(
            datagrams: try total("frames_received"), records: try total("records_committed"),
            kernelDrops: try total("kernel_drops"), otherDrops: try total("ring_full_drop_frames"),
            cpuSeconds: try cpuSeconds())
    }

    /// User and system time of the process, in the kernel's ticks of 10 ms.
    private func cpuSeconds() throws(IngestError) -> Double {
        let path = "/proc/\(process.processIdentifier)/stat"
        // The name in brackets may hold anything; the fields behind it are plain.
        let text = FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw .collector("the collector has ended")
        }
        return (user + system) * Self.tickSeconds
    }
}
