// A stop that is asked for before `ready`: what the listeners accepted until then is stored, and a start that has accepted nothing
// ends at once. The time between the listeners' start and `ready` is made long by strace, which delays system calls of the
// real program.

import Foundation
import SpillwayClient
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct StartStopTests {
    /// A collector that is not waited for until it is ready.
    private final class StartingCollector {
        let process = Process()
        let tcpPort: UInt16
        let udpPort: UInt16
        private let output: URL
        private let errors: URL

        /// - Parameters:
        ///   - delayed: the system call that takes `delaySeconds` longer.
        ///   - use: each thread's uses of it are delayed from this one on.
        init(
            _ arguments: [String], delayed: String, fromUse use: Int = 1, delaySeconds: Int,
            http: String = "127.0.0.1:0"
        ) throws {
            tcpPort = try Torture.freePort()
            udpPort = try Torture.freePort()
            output = try Programs.temporaryFile("out")
            errors = try Programs.temporaryFile("err")
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments =
                [
                    "strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=\(delayed)", "-e", "signal=none", "-e",
                    "inject=\(delayed):delay_enter=\(delaySeconds * 1_000_000):when=\(use)+", Programs.spillway.path,
                    "serve",
                    "--udp", "127.0.0.1:\(udpPort)", "--tcp", "127.0.0.1:\(tcpPort)", "--http", http,
                    "--system-metrics", "false",
                ] + arguments
            process.environment = Programs.cleanEnvironment([:])
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = try FileHandle(forWritingTo: output)
            process.standardError = try FileHandle(forWritingTo: errors)
            try process.run()
        }

        deinit {
            if process.isRunning {
                kill(programID ?? process.processIdentifier, SIGKILL)
                process.waitUntilExit()
            }
            unlink(output.path)
            unlink(errors.path)
        }

        /// The collector's process, which is the tracer's child.
        private var programID: Int32? {
            let tracer = process.processIdentifier
            do {
                let children = try String(contentsOfFile: "/proc/\(tracer)/task/\(tracer)/children", encoding: .utf8)
                return children.split(separator: " ").first.flatMap { Int32($0) }
            } catch {
                return nil
            }
        }

        func signal(_ number: Int32) throws { kill(try #require(programID), number) }

        /// Waits until the TCP port accepts connections.
        func waitUntilListening() throws {
            let deadline = Date().addingTimeInterval(60)
            while Date() < deadline {
                do throws(ClientError) {
                    _ = try TCPTransport(to: try CollectorAddress("tcp://127.0.0.1:\(tcpPort)"))
                    return
                } catch {
                    usleep(20_000)
                }
            }
            throw CollectorFailure(description: "it does not listen: \(errorText)")
        }

        /// - Returns: the exit status, as a shell has it.
        func end(withinSeconds seconds: Double) throws -> Int32 {
            let deadline = Date().addingTimeInterval(seconds)
            while process.isRunning, Date() < deadline { usleep(10_000) }
            try #require(!process.isRunning, "it does not end: \(errorText)")
            process.waitUntilExit()
            return process.terminationStatus
        }

        var outputText: String { text(of: output) }
        var errorText: String { text(of: errors) }

        private func text(of file: URL) -> String {
            do { return try String(contentsOf: file, encoding: .utf8) } catch { return "\(error)" }
        }
    }

    /// Sends without waiting for anything to be stored.
    private func send(_ count: Int, over transport: String, port: UInt16, seed: Int) throws {
        let address = try CollectorAddress("\(transport)://127.0.0.1:\(port)")
        var encoder = FrameEncoder(frameBytesTarget: 32_768)
        for number in 0..<count {
            let record = RoutingRecord(time: Timestamp.now, queryID: "\(transport)-\(seed)-\(number)")
            #expect(try encoder.append(record))
        }
        let identity = SourceIdentity(name: "starter-\(transport)", session: UInt64(seed))
        let frame = try #require(
            encoder.finish(identity.frame(sequence: 1)) { frame in frame.withUnsafeBytes { Array($0) } })
        switch address.transport {
        case .udp:
            var udp = try UDPTransport(to: address)
            udp.append(frame.span.bytes, recordCount: count)
            udp.send()
            #expect(udp.statistics.recordsDropped == 0)
        case .tcp:
            var tcp = try TCPTransport(to: address)
            try tcp.write(frame.span.bytes, frameCount: 1, recordCount: count)
            // The welcome comes when the frame has been read.
            _ = try tcp.nextReply()
        }
    }

    /// Nothing is stored by itself before the stop.
    private static let patientFlush = ["--flush-interval", "60000"]

    @Test func whatIsAcceptedBeforeReadyIsStoredWhenAStopComesThen() throws {
        let location = try TestServers.database(.plain)
        let collector = try StartingCollector(
            ["--database", TestServers.url(location), "--spill-directory", try Programs.temporaryFolder("spill")]
                + Self.patientFlush,
            // The TCP listener's, then that of HTTP.
            delayed: "listen", delaySeconds: 4)
        try collector.waitUntilListening()
        try send(20, over: "udp", port: collector.udpPort, seed: 1)
        try send(300, over: "tcp", port: collector.tcpPort, seed: 2)
        usleep(200_000)
        #expect(collector.outputText == "", "it was ready before the stop: the test shows nothing")
        try collector.signal(SIGTERM)
        #expect(try collector.end(withinSeconds: 60) == 0, "\(collector.errorText)")
        // It never was ready, and does not say so.
        #expect(collector.outputText == "")
        let rows = try Torture.rows(location)
        #expect(rows.all == 320 && rows.distinct == 320, "\(rows) \(collector.errorText)")
    }

    @Test func whatIsAcceptedBeforeReadyIsSpilledWithoutADatabase() throws {
        let folder = try Programs.temporaryFolder("spill")
        let collector = try StartingCollector(
            [
                "--database", "postgresql://postgres@127.0.0.1:1/none", "--spill-directory", folder,
                "--shutdown-deadline", "2",
            ] + Self.patientFlush, delayed: "listen", delaySeconds: 4)
        try collector.waitUntilListening()
        try send(300, over: "tcp", port: collector.tcpPort, seed: 3)
        usleep(200_000)
        try collector.signal(SIGINT)
        #expect(try collector.end(withinSeconds: 60) == 0, "\(collector.errorText)")
        let listing = try Programs.run(["spill", "cat", "--spill-directory", folder])
        #expect(listing.text.split(separator: "\n").count == 300, "\(listing.errors)")
    }

    // A process that has ended is held by strace until the delay of its thread is over.

    @Test func aSecondSignalEndsAtOnce() throws {
        let collector = try StartingCollector(
            ["--database", "discard", "--spill-directory", "none"], delayed: "listen", delaySeconds: 3)
        try collector.waitUntilListening()
        try collector.signal(SIGTERM)
        usleep(200_000)
        try collector.signal(SIGTERM)
        #expect(try collector.end(withinSeconds: 20) == 128 + SIGTERM)
        #expect(!collector.errorText.contains("stopping"), "\(collector.errorText)")
    }

    @Test func beforeTheListenersASignalEndsAtOnce() throws {
        // The first one is that of the signals, the second one the collector's first.
        let collector = try StartingCollector(
            ["--database", "discard", "--spill-directory", "none"], delayed: "eventfd2", fromUse: 2, delaySeconds: 3)
        usleep(1_500_000)
        try collector.signal(SIGTERM)
        #expect(try collector.end(withinSeconds: 20) == 128 + SIGTERM)
        #expect(!collector.errorText.contains("stopping"), "\(collector.errorText)")
    }

    @Test func aStartThatFailsAfterItsListenersStoresWhatTheyAccepted() throws {
        let location = try TestServers.database(.plain)
        let port = try Torture.freePort()
        let collector = try StartingCollector(
            ["--database", TestServers.url(location), "--spill-directory", try Programs.temporaryFolder("spill")]
                + Self.patientFlush,
            // Those that look whether the ports are free, UDP's, TCP's, and that of HTTP, which fails.
            delayed: "bind", delaySeconds: 3, http: "127.0.0.1:\(port)")
        try collector.waitUntilListening()
        let taken = try TakenPort(port)
        defer { withExtendedLifetime(taken) {} }
        try send(300, over: "tcp", port: collector.tcpPort, seed: 4)
        #expect(try collector.end(withinSeconds: 60) == 69, "\(collector.errorText)")
        #expect(collector.errorText.contains("http"))
        #expect(!collector.errorText.contains("could not be stored"))
        #expect(try Torture.rows(location).all == 300)
    }

    @Test func aStartThatFailsAndCannotStoreSaysSo() throws {
        let port = try Torture.freePort()
        let collector = try StartingCollector(
            [
                "--database", "postgresql://postgres@127.0.0.1:1/none", "--spill-directory", "none",
                "--shutdown-deadline", "1",
            ] + Self.patientFlush, delayed: "bind", delaySeconds: 3, http: "127.0.0.1:\(port)")
        try collector.waitUntilListening()
        let taken = try TakenPort(port)
        defer { withExtendedLifetime(taken) {} }
        try send(300, over: "tcp", port: collector.tcpPort, seed: 5)
        #expect(try collector.end(withinSeconds: 60) == 69)
        #expect(collector.errorText.contains("records that were accepted until then could not be stored"))
    }
}
