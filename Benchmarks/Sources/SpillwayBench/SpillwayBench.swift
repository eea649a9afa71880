// `spillway-bench`: measures, prints one table on standard output and progress on standard error, writes one JSON.

import ArgumentParser
import Foundation

@main
struct SpillwayBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spillway-bench", abstract: "Measure, and compare two measurements.",
        subcommands: [Measure.self, Compare.self], defaultSubcommand: Measure.self)
}

struct Measure: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure the codec, the ring, sizes on the wire, and the collector on every part of a record's way.",
        discussion: """
            Each timed figure is the median of so many runs with its range; what is counted stands alone. Nothing else \
            should run meanwhile: the load average before the start is part of the result.
            """)

    enum Suite: String, CaseIterable, ExpressibleByArgument {
        case codec, ring, sizes, client, ingest, drain, spill, tcp, way, growth, all
        /// Takes minutes, and is not part of `all`.
        case growthLong = "growth-long"
        /// The same.
        case database
    }

    @Argument(help: "What to measure.") var suite = Suite.all
    @Option(help: "How often each timed figure is measured, 1 to 1,000.") var runs = 5
    @Option(help: "Where the JSON goes. (default: Results/<suite>.json beside the benchmarks)") var json: String?
    @Option(help: "The collector's program. (default: ../.build/release/spillway beside the benchmarks)")
    var collector: String?
    @Flag(help: "Short runs, to see that everything works; the figures mean little.") var quick = false

    func validate() throws {
        guard (1...1_000).contains(runs) else { throw ValidationError("--runs is 1 to 1,000") }
    }

    func run() throws {
        var report = Report(machine: Machine(), quick: quick, runs: runs)
        say(report.machine.text)
        if quick { say("quick: the figures mean little") }
        if wants(.sizes) { SizesBenchmark(recordCount: quick ? 5_000 : 50_000).run(into: &report) }
        if wants(.codec) { CodecBenchmark(runs: runs, milliseconds: quick ? 30 : 200).run(into: &report) }
        if wants(.ring) {
            try RingBenchmark(runs: runs, scale: quick ? 1 : 10).run(into: &report)
            try RingLatencyBenchmark(runs: runs, seconds: quick ? 0.1 : 1.0).run(into: &report)
        }
        if wants(.client) { try ClientBenchmark(runs: runs, milliseconds: quick ? 30 : 200).run(into: &report) }
        let program = collector ?? packageDirectory + "/../.build/release/spillway"
        if wants(.drain) {
            try DrainBenchmark(runs: runs, batches: quick ? 4 : 12, collector: program).run(into: &report)
        }
        if wants(.spill) {
            try SpillBenchmark(
                runs: runs, logBatches: quick ? 8 : 40, replayBatches: quick ? 6 : 20, collector: program
            ).run(into: &report)
        }
        if wants(.tcp) {
            try StreamBenchmark(runs: runs, batches: quick ? 8 : 60, collector: program).run(into: &report)
        }
        if wants(.way) {
            try WayBenchmark(
                runs: runs, seconds: quick ? 1 : 2, idleSeconds: quick ? 1 : 3, collector: program
            ).run(into: &report)
        }
        if wants(.growth) {
            try GrowthBenchmark(runs: runs, datagrams: quick ? 20_480 : 40_960, collector: program).run(into: &report)
        }
        if suite == .database {
            try DatabaseBenchmark(runs: runs, batches: quick ? 4 : 20, collector: program).run(into: &report)
        }
        if suite == .growthLong {
            try LongGrowthBenchmark(runs: runs, isQuick: quick, collector: program).run(into: &report)
        }
        if wants(.ingest) {
            try IngestBenchmark(runs: runs, seconds: quick ? 0.2 : 0.5, collector: program).run(into: &report)
        }
        print(report.machine.text + "\n\n" + report.markdown(), terminator: "")
        let path = json ?? packageDirectory + "/Results/\(suite.rawValue).json"
        try report.write(to: path)
        say("wrote \(path)")
    }

    private func wants(_ one: Suite) -> Bool { suite == .all || suite == one }
}
