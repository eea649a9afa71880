// What more sources cost the collector: CPU and memory, at the same rate of the same records.

import CFloor
import Glibc

struct GrowthBenchmark {
    let runs: Int
    /// Datagrams of a trial, which are sent in a second.
    let datagrams: Int
    let collector: String

    private static let group = "growth"
    private static let sourceCounts = [1, 100, 10_000]
    /// Longer than the flush interval: what was sent is decoded and dropped by then.
    private static let restMicroseconds: UInt32 = 400_000

    private struct Sample {
        /// CPU per record while the sources are new, and when all of them are known, in nanoseconds.
        var first = 0.0
        var known = 0.0
        var residentBytes = 0.0
        var lostPercent = 0.0
        /// CPU of one answer to `/stats`, in seconds.
        var statisticsSeconds = 0.0
    }

    func run(into report: inout Report) throws {
        progress("growth: encoding \(datagrams) frames")
        var supply = FrameSupply(datagramBytes: 1_400, frameCount: datagrams)
        var samples: [[Sample]] = Self.sourceCounts.map { _ in [] }
        for run in 1...runs {
            for (index, sources) in Self.sourceCounts.enumerated() {
                progress("growth: \(sources) sources, run \(run) of \(runs)")
                samples[index].append(try trial(sources, &supply))
            }
        }
        progressEnd()
        for (index, sources) in Self.sourceCounts.enumerated() {
            let mine = samples[index]
            func add(_ column: String, _ unit: String, _ values: [Double], _ better: Better? = nil) {
                let row = sources == 1 ? "1 source" : "\(short(Double(sources))) sources"
                report.add(Self.group, row, column, unit, values, better: better)
            }
            add("CPU, sources new", "ns/record", mine.map(\.first))
            add("CPU, sources known", "ns/record", mine.map(\.known))
            add("of one source's", "", zip(mine, samples[0]).map { $0.known / $1.known }, .lower)
            add("resident", "MB", mine.map { $0.residentBytes / 1e6 })
            add(
                "memory of one source's", "", zip(mine, samples[0]).map { $0.residentBytes / $1.residentBytes }, .lower)
            add("lost", "%", mine.map(\.lostPercent))
            add("CPU of /stats", "ms", mine.map { $0.statisticsSeconds * 1e3 })
        }
        report.note(
            Self.group,
            """
            \(short(Double(datagrams))) datagrams of 1,400 B a second over UDP into a collector that decodes and drops, \
            numbered, from all sources in turn, so that no two frames in a row are from the same one. Each trial has a \
            collector of its own: the first second makes the sources known, the second one follows with new sessions. \
            Memory before `/stats` is asked for.
            """)
    }

    private func trial(_ sources: Int, _ supply: inout FrameSupply) throws -> Sample {
        let child = try CollectorProcess(program: collector, receiveBufferBytes: IngestBenchmark.receiveBufferBytes)
        var sample = Sample()
        sample.first = try nanosecondsPerRecord(child, sources, &supply).nanoseconds
        let (nanoseconds, records) = try nanosecondsPerRecord(child, sources, &supply)
        sample.known = nanoseconds
        sample.residentBytes = Double(residentBytes(child.processID) ?? 0)
        let before = try child.cpuSeconds()
        let stored = try child.total("records_committed")
        sample.statisticsSeconds = try child.cpuSeconds() - before
        sample.lostPercent = (1 - Double(stored) / Double(2 * records)) * 100
        return sample
    }

    private func nanosecondsPerRecord(
        _ child: borrowing CollectorProcess, _ sources: Int, _ supply: inout FrameSupply
    ) throws -> (nanoseconds: Double, records: UInt64) {
        supply.divide(among: sources)
        let before = try child.cpuSeconds()
        let sent = try supply.send(to: child.port, sockets: 1, rate: Double(datagrams), seconds: 1)
        // Not asked in between: an answer about ten thousand sources costs more than their records.
        usleep(Self.restMicroseconds)
        return ((try child.cpuSeconds() - before) * 1e9 / Double(sent.records), sent.records)
    }
}
