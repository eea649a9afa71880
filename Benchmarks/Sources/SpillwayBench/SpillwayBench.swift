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
            should run meanwhile: how busy the machine was before the start is part of the result.
            """)

    enum Suite: String, CaseIterable, ExpressibleByArgument {
        case codec, ring, sizes, client, ingest, drain, spill, tcp, way, growth, all
        /// Takes minutes, and is not part of `all`.
        case growthLong = "growth-long"
        /// The same.
        case database

        /// What `all` measures, in this order.
        static let parts: [Suite] = [
            .sizes, .codec, .ring, .client, .drain, .spill, .tcp, .way, .growth, .ingest,
        ]
    }

    @Argument(help: "What to measure.") var suite = Suite.all
    @Option(help: "How often each timed figure is measured, 1 to 1,000; those of the ring twice as often less one.")
    var runs = 5
    @Option(help: "Where the JSON goes. (default: Results/<suite>.json beside the benchmarks)") var json: String?
    @Option(help: "The collector's program. (default: ../.build/release/spillway beside the benchmarks)")
    var collector: String?
    @Option(
        parsing: .upToNextOption,
        help: "For `ring`: the core on which the consumer stays, then one for each producer.")
    var cores: [Int] = []
    @Flag(help: "Short runs, to see that everything works; the figures mean little.") var quick = false

    func validate() throws {
        guard (1...1_000).contains(runs) else { throw ValidationError("--runs is 1 to 1,000") }
        guard cores.isEmpty || suite == .ring && (2...1 + RingBenchmark.producersMax).contains(cores.count) else {
            throw ValidationError(
                "--cores goes with `ring`: the consumer's core, and those of 1 to \(RingBenchmark.producersMax) producers"
            )
        }
        guard cores.allSatisfy({ (0..<1_024).contains($0) }) else { throw ValidationError("a core is 0 to 1,023") }
    }

    func run() throws {
        var report = Report(machine: Machine(quick: quick), quick: quick, runs: runs)
        say(report.machine.text)
        if quick { say("quick: the figures mean little") }
        let places = cores.map { "-\($0)" }.joined()
        let path = json ?? packageDirectory + "/Results/\(suite.rawValue)\(places).json"
        let times = MachineTimes.now()
        var failed: [String] = []
        for one in suite == .all ? Suite.parts : [suite] {
            let start = nowNanoseconds()
            do {
                try measure(one, into: &report)
            } catch {
                guard suite == .all else { throw error }
                progressEnd()
                say("\(one.rawValue) failed: \(error)")
                failed.append(one.rawValue)
            }
            // What was measured stays, whatever becomes of the next suite.
            report.stolen(percent: MachineTimes.now().stolenPercent(since: times))
            try report.write(to: path)
            say("\(one.rawValue): \((nowNanoseconds() - start) / 1_000_000_000) s")
        }
        print(report.text, terminator: "")
        // Where both outputs go to one file, the table is whole before the next line.
        fflush(nil)
        say("wrote \(path)")
        guard failed.isEmpty else { throw BenchError("not measured: \(failed.joined(separator: ", "))") }
    }

    private func measure(_ suite: Suite, into report: inout Report) throws {
        let program = collector ?? packageDirectory + "/../.build/release/spillway"
        switch suite {
        case .sizes: SizesBenchmark(recordCount: quick ? 5_000 : 50_000).run(into: &report)
        case .codec: CodecBenchmark(runs: runs, milliseconds: quick ? 30 : 200).run(into: &report)
        case .ring:
            // Where the scheduler puts three threads on two cores decides, and lasts for a while: many short runs.
            try RingBenchmark(runs: 2 * runs - 1, scale: quick ? 1 : 4, cores: cores).run(into: &report)
            guard cores.isEmpty else { break }
            try RingAloneBenchmark(runs: runs, rounds: quick ? 20 : 200).run(into: &report)
            try RingLatencyBenchmark(runs: runs, seconds: quick ? 0.1 : 1.0).run(into: &report)
        case .client: try ClientBenchmark(runs: runs, milliseconds: quick ? 30 : 200).run(into: &report)
        case .drain:
            try DrainBenchmark(runs: runs, batches: quick ? 4 : 16, collector: program).run(into: &report)
        case .spill:
            try SpillBenchmark(
                runs: runs, logBatches: quick ? 8 : 160, replayBatches: quick ? 6 : 20, collector: program
            ).run(into: &report)
        case .tcp: try StreamBenchmark(runs: runs, batches: quick ? 8 : 128, collector: program).run(into: &report)
        case .way:
            try WayBenchmark(
                runs: runs, seconds: quick ? 1 : 4, idleSeconds: quick ? 1 : 3, collector: program
            ).run(into: &report)
        case .growth:
            try GrowthBenchmark(runs: runs, datagrams: quick ? 20_480 : 40_960, collector: program).run(into: &report)
        case .ingest:
            try IngestBenchmark(runs: runs, seconds: quick ? 0.2 : 0.5, collector: program).run(into: &report)
        case .growthLong: try LongGrowthBenchmark(runs: runs, isQuick: quick, collector: program).run(into: &report)
        case .database:
            try DatabaseBenchmark(runs: runs, batches: quick ? 4 : 20, collector: program).run(into: &report)
        case .all: preconditionFailure("all is measured part by part")
        }
    }
}
