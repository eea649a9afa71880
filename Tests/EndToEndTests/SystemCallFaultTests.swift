// Every system call of the spill fails at its N-th time, in each way, or the process is killed there; then again during
// recovery. What is acknowledged is stored exactly once, and the collector starts again by itself.

import Foundation
import Postgres
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(60))) struct SystemCallFaultTests {
    private static let calls = [
        "pwrite64", "sync_file_range", "fdatasync", "fsync", "unlinkat", "ftruncate", "openat",
    ]
    private static let faults = ["error=EIO", "error=ENOSPC", "error=EINTR", "signal=KILL"]
    /// A write that takes a part of its bytes. strace can only pretend that: `short-writes.c` does it.
    private static let shortWrite = "takes half"
    private static let numbersMax = Torture.count(2, 60)

    private struct Trial {
        let location: DatabaseLocation
        let spill: String
        let port: UInt16
        let traceFile: String

        init(_ location: DatabaseLocation) throws {
            self.location = location
            spill = try Programs.temporaryFolder("spill")
            port = try Torture.freePort()
            traceFile = try Programs.temporaryFolder("strace")
        }

        var arguments: [String] {
            [
                "--database", TestServers.url(location), "--tcp", "127.0.0.1:\(port)", "--spill-directory", spill,
                "--flush-interval", "20", "--batch-records", "800", "--journal",
            ]
        }

        func tracer(_ call: String, _ fault: String, _ number: Int) throws -> [String] {
            guard fault != SystemCallFaultTests.shortWrite else {
                return [
                    "env", "LD_PRELOAD=\(try SystemCallFaultTests.shortWrites.get())", "SHORT_WRITE=\(number)",
                    "SHORT_WRITE_LOG=\(traceFile)",
                ]
            }
            return [
                "strace", "-f", "-q", "-o", traceFile, "-e", "trace=\(call)", "-e", "signal=none", "-e",
                "inject=\(call):\(fault):when=\(number)",
            ]
        }

        var trace: String {
            do { return try String(contentsOfFile: traceFile, encoding: .utf8) } catch { return "" }
        }

        func hasFired(_ fault: String) -> Bool {
            if fault == SystemCallFaultTests.shortWrite { return FileManager.default.fileExists(atPath: traceFile) }
            let trace = trace
            return trace.contains("(INJECTED)") || trace.contains("killed by SIGKILL")
        }
    }

    /// The library that makes writes short, built for this run.
    private static let shortWrites = Result { () throws -> String in
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
            path: "Support/short-writes.c")
        let library = try Programs.temporaryFile("so").path
        let output = try Shell.run(["clang", "-shared", "-fPIC", "-O1", "-o", library, source.path, "-ldl"])
        guard output.isEmpty, (try Data(contentsOf: URL(fileURLWithPath: library))).count > 0 else {
            throw CollectorFailure(description: "short-writes.c: \(output)")
        }
        return library
    }

    @Test func everyCallOfTheSpillMayFailOrBeTheLast() throws {
        let location = try TestServers.database(.plain)
        let records = 4_000
        var trials = 0
        var fired = 0
        var byFault: [String: Int] = [:]
        let opens = try numbersOfOpens(records)
        for (call, fault) in Self.calls.flatMap({ call in Self.faults.map { (call, $0) } }) + [
            ("pwrite64", Self.shortWrite)
        ] {
            for number in call == "openat" ? opens : Array(1...Self.numbersMax) {
                let trial = try Trial(location)
                let hasFired = try run(trial, call, fault, number, records: records, seed: trials)
                trials += 1
                fired += hasFired ? 1 : 0
                byFault["\(call) \(fault)", default: 0] += hasFired ? 1 : 0
                let rows = try DatabaseConnection(location).query(
                    "SELECT count(*), count(DISTINCT (query_id, time)) FROM metrics.routing_metrics")[0]
                try #require(rows[0] == "\(trials * records)", "\(call) \(fault) \(number)")
                try #require(rows[1] == "\(trials * records)", "\(call) \(fault) \(number)")
                // Calls are counted in each thread: when none comes so far, none is left.
                if !hasFired, call != "openat" { break }
            }
        }
        let faults = byFault.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        print("trials \(trials), faults that came \(fired) (\(faults)); records \(trials * records), each stored once")
        for (call, fault) in Self.calls.flatMap({ call in Self.faults.map { (call, $0) } }) {
            #expect(byFault["\(call) \(fault)"] ?? 0 > 0, "\(call) \(fault) never came")
        }
        #expect(byFault["pwrite64 \(Self.shortWrite)"] ?? 0 > 0)
    }

    /// Which openings of a thread, counted from 1, are of the spill: a program opens much else when it starts.
    private func numbersOfOpens(_ records: Int) throws -> [Int] {
        let trial = try Trial(try TestServers.database(.plain))
        let collector = try CollectorProcess(
            trial.arguments, tracer: ["strace", "-f", "-q", "-o", trial.traceFile, "-e", "trace=openat"])
        #expect(Torture.wait(try sender(trial, records, 0), seconds: 60))
        _ = try collector.waitForStats { $0["records_in_spill"] == 0 && $0["records_committed"] == records }
        #expect(collector.stop() == 0)
        var counts: [Substring: Int] = [:]
        var numbers: Set<Int> = []
        for line in trial.trace.split(separator: "\n") where line.contains("openat(") {
            let thread = line.prefix { $0 != " " }
            counts[thread, default: 0] += 1
            let isOfSpill = [trial.spill, "\"spill-", "\"lock\"", "\"quarantine"].contains { line.contains($0) }
            if isOfSpill, let number = counts[thread] { numbers.insert(number) }
        }
        let all = numbers.sorted()
        try #require(all.count > 2)
        return Torture.isLong ? all : [all[0], all[1], all[all.count - 1]]
    }

    private func run(
        _ trial: Trial, _ call: String, _ fault: String, _ number: Int, records: Int, seed: Int
    ) throws -> Bool {
        let what = "\(call) \(fault) \(number)"
        let collector: CollectorProcess
        do {
            collector = try CollectorProcess(trial.arguments, tracer: try trial.tracer(call, fault, number))
        } catch {
            // The fault came while it started: it says so, and the next start works.
            // A kill in the first moments leaves the trace empty.
            #expect(trial.hasFired(fault) || fault == "signal=KILL", "\(what): \(error)")
            return try finish(trial, try sender(trial, records, seed), what, hasFired: true)
        }
        let sender = try sender(trial, records, seed)
        let deadline = Date().addingTimeInterval(15)
        while sender.isRunning, collector.isRunning, Date() < deadline { usleep(5_000) }
        if !sender.isRunning {
            // Segments are removed a moment later, which is where some calls come.
            let settled = Date().addingTimeInterval(2.5)
            while collector.isRunning, !trial.hasFired(fault), Date() < settled { usleep(20_000) }
        }
        // strace does not always live to write down that it has killed.
        let hasFired = trial.hasFired(fault) || (fault == "signal=KILL" && !collector.isRunning)
        _ = collector.stop(SIGKILL)
        return try finish(trial, sender, what, hasFired: hasFired)
    }

    private func sender(_ trial: Trial, _ records: Int, _ seed: Int) throws -> Process {
        try Torture.sender(trial.port, count: records, rate: 40_000, ["--seed", "\(seed)"])
    }

    /// Kills the recovery at the same call too, and then lets a start work.
    private func finish(_ trial: Trial, _ sender: Process, _ what: String, hasFired: Bool) throws -> Bool {
        for number in 1...2 {
            do {
                let again = try CollectorProcess(
                    trial.arguments, tracer: try trial.tracer("pwrite64,fdatasync,fsync", "signal=KILL", number))
                usleep(100_000)
                _ = again.stop(SIGKILL)
            } catch {}
        }
        let collector = try CollectorProcess(trial.arguments)
        #expect(Torture.wait(sender, seconds: 60), "\(what): not everything was acknowledged")
        let stats = try collector.waitForStats(seconds: 60) { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        #expect(stats["records_damaged"] == 0, "\(what)")
        #expect(collector.stop() == 0, "\(collector.logText)")
        return hasFired
    }
}
