// How long a record takes from the program that sends it to a row that others can see, at parts of what the collector can
// store; and what a collector takes that has nothing to do.

import FrameCodec
import Foundation
import Synchronization

struct WayBenchmark {
    let runs: Int
    let seconds: Double
    let idleSeconds: Double
    let collector: String

    private static let loadsPercent = [10.0, 50.0, 90.0]
    /// The first probes of a trial, 0.2 s: connection and memory are new to everybody.
    private static let skippedProbes = 20
    private static let capacityTrials = 3
    /// Some seconds: what holds for a moment only is no capacity.
    private static let capacityBatches = 40
    private static let patienceNanoseconds: UInt64 = 60_000_000_000

    func run(into report: inout Report) throws {
        let folder = try BenchFolder()
        let flavour: DatabaseServer.Flavour = DatabaseServer.Flavour.timescale.programs == nil ? .plain : .timescale
        guard let server = try DatabaseServer.start(flavour, in: folder) else { return }
        let spill = "\(folder.path)/spill"
        let capacity = try capacity(server)
        let records = RecordSet(.routing, count: 1_000).records.map { RoutingRecord(values: $0) }
        do {
            let child = try CollectorProcess(
                program: collector, udp: false, tcp: true, ["--database", server.url, "--spill-directory", spill])
            for percent in Self.loadsPercent {
                let rate = capacity * percent / 100
                var polls: [VisibilityPoll] = []
                var spilled: [Double] = []
                for run in 1...runs {
                    progress("way: \(Int(percent)) % of \(short(capacity)) records/s, run \(run) of \(runs)")
                    let (spilledBefore, receivedBefore) = (
                        try child.total("records_spilled"), try child.total("records_received")
                    )
                    polls.append(try trial(server, child.tcpPort, records, rate: rate))
                    try Self.waitUntilStored(child)
                    let received = try child.total("records_received") - receivedBefore
                    spilled.append(
                        Double(try child.total("records_spilled") - spilledBefore) * 100 / Double(received))
                }
                let row = "\(Int(percent)) % of capacity"
                func add(_ column: String, _ unit: String, _ samples: [Double], _ better: Better? = nil) {
                    report.add("way", row, column, unit, samples, better: better)
                }
                add("offered", "records/s", [rate], .neither)
                add("p50", "ms", polls.map { $0.percentile(50, skipping: Self.skippedProbes) })
                add("p99", "ms", polls.map { $0.percentile(99, skipping: Self.skippedProbes) })
                add("at most", "ms", polls.map { $0.percentile(100, skipping: Self.skippedProbes) })
                add("round of the poll", "ms", polls.map(\.roundMilliseconds), .neither)
                add("through the spill", "%", spilled)
            }
        }
        try idle(server, spill, &report)
        progressEnd()
        report.note(
            "way",
            """
            \(try server.version()), two lanes, flush interval 250 ms, a spill as by default. One program sends routing \
            records over TCP every \(LiveSender.tickMicroseconds / 1_000) ms, each stamped with the time at which it came \
            up; the last one of every tick, which is due at once, is looked for in the table, by its time, for \
            \(seconds) s; the records go on behind the last of them. Seen too late by about a round of the poll at \
            most. Capacity is the median pace of \(Self.capacityTrials) drains of \
            \(short(Double(Self.capacityBatches) * 50_000)) records, as in the drain's table. While the collector \
            waits for a batch to fill, a record waits up to the flush interval.
            """)
        report.note(
            "idle", "Connected to the database, a spill, nothing sent but the host's own record every ten seconds.")
    }

    /// What is still replayed behind a trial would meet the next one's empty table.
    private static func waitUntilStored(_ child: borrowing CollectorProcess) throws {
        let deadline = nowNanoseconds() + patienceNanoseconds
        while true {
            guard try child.total("records_committed") < child.total("records_received") else { return }
            guard nowNanoseconds() < deadline else { throw BenchError("the collector does not store all that it got") }
            usleep(10_000)
        }
    }

    /// Records a second.
    private func capacity(_ server: DatabaseServer) throws -> Double {
        let child = try CollectorProcess(
            program: collector, udp: false, tcp: true, ["--database", server.url, "--spill-directory", "none"])
        var stream = FrameStream(frameBytes: 32 << 10, batches: Self.capacityBatches)
        var rates: [Double] = []
        for trial in 0...Self.capacityTrials {
            progress("way: capacity, trial \(trial) of \(Self.capacityTrials)")
            try DrainBenchmark.prepare(server, hasChunk: true)
            stream.renumber()
            let rate = try StreamTrial(child, stream, startRecords: 100_000).steadyRate
            // The first is not counted.
            if trial > 0 { rates.append(rate) }
        }
        return rates.sorted()[rates.count / 2]
    }

    private func trial(
        _ server: DatabaseServer, _ port: UInt16, _ records: [RoutingRecord], rate: Double
    ) throws -> VisibilityPoll {
        // The chunk of today is there, as the collector makes it ahead.
        try DrainBenchmark.prepare(server, hasChunk: true, dayMicroseconds: wallMicroseconds())
        let sender = LiveSender(recordsPerSecond: rate, seconds: seconds, port: port)
        let probes = Probes()
        let failure = Failure()
        let thread = try Worker {
            do throws(BenchError) { try sender.run(records, probes) } catch {
                failure.error.withLock { [error] in $0 = error }
            }
        }
        let poll = try VisibilityPoll(server.connect(), probes)
        thread.join()
        if let error = failure.error.withLock({ $0 }) { throw error }
        return poll
    }

    private final class Failure: Sendable {
        let error = Mutex<BenchError?>(nil)
    }

    private func idle(_ server: DatabaseServer, _ spill: String, _ report: inout Report) throws {
        let child = try CollectorProcess(
            program: collector, udp: true, tcp: true,
            ["--database", server.url, "--spill-directory", spill, "--system-metrics", "true"])
        var percents: [Double] = []
        var megabytes: [Double] = []
        sleep(1)
        for run in 1...runs {
            progress("way: idle, run \(run) of \(runs)")
            let start = nowNanoseconds()
            let before = try child.cpuSeconds()
            usleep(UInt32(idleSeconds * 1e6))
            percents.append((try child.cpuSeconds() - before) * 100 * 1e9 / Double(nowNanoseconds() - start))
            megabytes.append(Double(residentBytes(child.processID) ?? 0) / 1e6)
        }
        report.add("idle", "spillway serve, two lanes", "CPU", "% of a core", percents)
        report.add("idle", "spillway serve, two lanes", "resident", "MB", megabytes)
    }
}
