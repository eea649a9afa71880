// Descriptors that run out: connections wait or are turned away, which is counted, no thread spins, and /healthz answers.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct DescriptorTests {
    /// Open sockets, closed with it.
    private final class Sockets {
        private(set) var descriptors: [Int32] = []

        /// - Returns: whether the connection was made.
        func connect(to address: String) throws -> Bool {
            let port = try #require(address.split(separator: ":").last.flatMap { UInt16($0) })
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            #expect(descriptor >= 0)
            descriptors.append(descriptor)
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            return withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
        }

        func write(_ text: String) {
            for descriptor in descriptors {
                _ = Array(text.utf8).withUnsafeBytes {
                    send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
            }
        }

        /// Those that the other side has not closed.
        var openCount: Int {
            descriptors.count { descriptor in
                var byte: UInt8 = 0
                while recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT)) > 0 {}
                return recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT)) < 0 && errno == EAGAIN
            }
        }

        deinit { for descriptor in descriptors { close(descriptor) } }
    }

    private static let arguments = ["--database", "discard", "--spill-directory", "none"]

    /// Seconds of processor time.
    private static func processorSeconds(_ collector: CollectorProcess) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(collector.processID)/stat", encoding: .utf8)
        let fields = text[text.index(after: try #require(text.lastIndex(of: ")")))...].split(separator: " ")
        return try #require(Double(fields[11])) / 100 + #require(Double(fields[12])) / 100
    }

    @Test func theSoftLimitIsRaised() throws {
        let collector = try CollectorProcess(Self.arguments, tracer: ["prlimit", "--nofile=256:5000"])
        #expect(try collector.stats().gauges["open_files_limit"] == 5_000)
        #expect(try collector.stats().warnings.isEmpty)
        #expect(collector.stop() == 0)
    }

    @Test func aLimitThatIsTooLowIsReportedAndLeavesTheHTTPSideItsPart() throws {
        let collector = try CollectorProcess(Self.arguments, tracer: ["prlimit", "--nofile=256:256"])
        #expect(try collector.stats().warnings.contains { $0.contains("may have 256 files and sockets open") })
        #expect(try collector.get("/readyz").body.contains("warning: this process may have 256"))
        let sockets = Sockets()
        for _ in 0..<400 { #expect(try sockets.connect(to: collector.address("tcp"))) }
        let before = try Self.processorSeconds(collector)
        usleep(2_000_000)
        #expect(try Self.processorSeconds(collector) - before < 1, "a thread spins")
        #expect(try collector.get("/healthz").status == 200)
        let metrics = try collector.get("/metrics").body
        #expect(
            !metrics.contains("spillway_connections_refused_total{reason=\"too_many_connections\"} 0\n"), "\(metrics)")
        #expect(collector.stop() == 0)
    }

    @Test func withoutAFreeDescriptorConnectionsWaitAndNoThreadSpins() throws {
        let collector = try CollectorProcess(Self.arguments)
        let count = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(collector.processID)/fd").count
        func limit(_ number: Int) throws {
            _ = try Shell.run(["prlimit", "--pid", "\(collector.processID)", "--nofile=\(number):5000"])
        }
        try limit(count + 10)
        let sockets = Sockets()
        for _ in 0..<60 { _ = try sockets.connect(to: collector.address("tcp")) }
        usleep(3_000_000)
        try limit(5_000)
        let metrics = try collector.get("/metrics").body
        let line = try #require(metrics.split(separator: "\n").first { $0.contains("reason=\"too_many_open_files\"") })
        let attempts = try #require(line.split(separator: " ").last.flatMap { Int($0) })
        // One each fifth of a second on each of both sides: without a pause there are tens of thousands.
        #expect((1...100).contains(attempts), "\(attempts) attempts")
        #expect(try collector.stats().warnings.contains { $0.contains("no descriptor is free") })
        #expect(collector.logText.contains("no descriptor is free"))
        // Those that waited were taken in the end.
        _ = try collector.waitForStats(seconds: 10) { $0["connections_accepted"] >= 60 }
        #expect(collector.stop() == 0)
    }

    @Test func slowRequestsKeepNoneFromAnAnswerAndEnd() throws {
        let collector = try CollectorProcess(Self.arguments)
        let sockets = Sockets()
        for _ in 0..<300 { #expect(try sockets.connect(to: collector.address("http"))) }
        sockets.write("GET / HTTP/1.1\r\nX-Slow: ")
        for _ in 0..<20 {
            let start = Date()
            #expect(try collector.get("/healthz").status == 200)
            #expect(Date().timeIntervalSince(start) < 3)
        }
        let deadline = Date().addingTimeInterval(20)
        while sockets.openCount > 0, Date() < deadline {
            usleep(500_000)
            sockets.write("e")
        }
        #expect(sockets.openCount == 0, "a request has no deadline")
        #expect(collector.stop() == 0)
    }
}
