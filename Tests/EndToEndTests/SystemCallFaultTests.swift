// Every system call of the spill fails at its N-th time, in each way, or the process is killed there; then again during
// recovery. What is acknowledged is stored exactly once, and the collector starts again by itself.

import Foundation
import Testing
import TestSupport
import TimescaleStore

@Suite(.serialized, .timeLimit(.minutes(60))) struct SystemCallFaultTests {
    private static let calls = ["pwrite64", "fdatasync", "fsync", "unlinkat", "ftruncate"]
    private static let faults = ["error=EIO", "error=ENOSPC", "error=EINTR", "signal=KILL"]

    private struct Trial {
        let location: DatabaseLocation
        let spill: String
        let port: UInt16
        let traceFile: String

        var arguments: [String] {
            [
                "--database", TestServers.url(location), "--tcp", "127.0.0.1:\(port)", "--spill-directory", spill,
                "--flush-interval", "20", "--batch-records", "400", "--journal",
            ]
        }

        func tracer(_ call: String, _ fault: String, _ number: Int) -> [String] {
            [
                "strace", "-f", "-q", "-o", traceFile, "-e", "trace=\(call)", "-e", "signal=none", "-e",
                "inject=\(call):\(fault):when=\(number)",
            ]
        }

        var hasFired: Bool {
            do {
                let text = try String(contentsOfFile: traceFile, encoding: .utf8)
                return text.contains("(INJECTED)") || text.contains("killed by SIGKILL")
            } catch { return false }
        }
    }

    @Test func everyCallOfTheSpillMayFailOrBeTheLast() throws {
        let location = try TestServers.database(.plain)
        let numbersMax = Torture.count(2, 40)
        let records = 2_000
        var trials = 0
        var fired = 0
        var expected = 0
        for call in Self.calls {
            for fault in Self.faults {
                for number in 1...numbersMax {
                    let trial = Trial(
                        location: location, spill: try Programs.temporaryFolder("spill"),
                        port: try Torture.freePort(), traceFile: try Programs.temporaryFile("strace").path)
                    let hasFired = try run(trial, call, fault, number, records: records, seed: trials)
                    trials += 1
                    fired += hasFired ? 1 : 0
                    expected += records
                    let rows = try DatabaseConnection(location).query(
                        "SELECT count(*), count(DISTINCT (query_id, time)) FROM metrics.routing_metrics")[0]
                    #expect(rows[0] == "\(expected)", "\(call) \(fault) \(number)")
                    #expect(rows[1] == "\(expected)", "\(call) \(fault) \(number)")
                    guard rows[0] == "\(expected)" else { return }
                    if !hasFired { break }
                }
            }
        }
        print("trials \(trials), faults that came \(fired), records \(expected), each stored once")
        #expect(fired > Self.calls.count)
    }

    private func run(
        _ trial: Trial, _ call: String, _ fault: String, _ number: Int, records: Int, seed: Int
    ) throws -> Bool {
        let what = "\(call) \(fault) \(number)"
        let collector: CollectorProcess
        do {
            collector = try CollectorProcess(trial.arguments, tracer: trial.tracer(call, fault, number))
        } catch {
            // The fault came while it started: it says so, and the next start works.
            // A kill in the first moments leaves the trace empty.
            #expect(trial.hasFired || fault == "signal=KILL", "\(what): \(error)")
            return try finish(trial, try sender(trial, records, seed), what, hasFired: true)
        }
        let sender = try sender(trial, records, seed)
        let deadline = Date().addingTimeInterval(15)
        while sender.isRunning, collector.isRunning, Date() < deadline { usleep(5_000) }
        if !sender.isRunning {
            // Segments are removed a moment later, which is where some calls come.
            let settled = Date().addingTimeInterval(2.5)
            while collector.isRunning, !trial.hasFired, Date() < settled { usleep(20_000) }
        }
        _ = collector.stop(SIGKILL)
        return try finish(trial, sender, what, hasFired: trial.hasFired)
    }

    private func sender(_ trial: Trial, _ records: Int, _ seed: Int) throws -> Process {
        try Torture.sender(trial.port, count: records, rate: 20_000, ["--seed", "\(seed)"])
    }

    /// Kills the recovery at the same call too, and then lets a start work.
    private func finish(_ trial: Trial, _ sender: Process, _ what: String, hasFired: Bool) throws -> Bool {
        for number in 1...2 {
            do {
                let again = try CollectorProcess(
                    trial.arguments, tracer: trial.tracer("pwrite64,fdatasync,fsync", "signal=KILL", number))
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
