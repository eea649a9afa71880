// What only shows after a while: a table that grows, and an outage that lasts. Not part of `all`, since it takes minutes.

import JSONLines

struct LongGrowthBenchmark {
    let runs: Int
    let isQuick: Bool
    let collector: String

    private static let tableMillions = 20
    private static let outageMillions = [1, 5, 10]
    private static let batchesOfMillion = 20

    func run(into report: inout Report) throws {
        let folder = try BenchFolder()
        let flavour: DatabaseServer.Flavour = DatabaseServer.Flavour.timescale.programs == nil ? .plain : .timescale
        guard let server = try DatabaseServer.start(flavour, in: folder) else {
            throw BenchError("there is no database server: install postgresql")
        }
        try growTable(server, &report)
        try lengthenOutage(server, folder, &report)
        progressEnd()
    }

    private func growTable(_ server: DatabaseServer, _ report: inout Report) throws {
        let child = try CollectorProcess(
            program: collector, udp: false, tcp: true, ["--database", server.url, "--spill-directory", "none"])
        let millions = isQuick ? 2 : Self.tableMillions
        var rates: [[Double]] = Array(repeating: [], count: millions)
        var resident: [[Double]] = Array(repeating: [], count: millions)
        for run in 1...runs {
            try DrainBenchmark.prepare(server, hasChunk: true)
            for million in 0..<millions {
                progress("growth-long: table, run \(run) of \(runs), million \(million + 1) of \(millions)")
                // Times go on, as those of live records do.
                let stream = FrameStream(
                    frameBytes: 32 << 10, batches: Self.batchesOfMillion,
                    startTime: RecordGenerator.Options.fixedStartTime + Int64(million) * 1_000_000_000)
                rates[million].append(try StreamTrial(child, stream, startRecords: 100_000).steadyRate)
                resident[million].append(Double(residentBytes(child.processID) ?? 0) / 1e6)
            }
        }
        for million in 0..<millions {
            let row = "\(server.flavour.name), million \(million + 1)"
            report.add("growth of a table", row, "", "rows/s", rates[million])
            report.add(
                "growth of a table", row, "of the first", "", zip(rates[million], rates[0]).map { $0 / $1 },
                better: .higher)
            report.add("growth of a table", row, "collector, resident", "MB", resident[million])
        }
        report.note(
            "growth of a table",
            """
            \(try server.version()), two lanes, one chunk or partition of one day, not emptied from million to million; \
            otherwise as in the drain's table. No checkpoint is asked for in between: they come as they do.
            """)
    }

    private func lengthenOutage(_ server: DatabaseServer, _ folder: BenchFolder, _ report: inout Report) throws {
        for millions in isQuick ? [1] : Self.outageMillions {
            let batches = millions * Self.batchesOfMillion
            var stream = FrameStream(frameBytes: 32 << 10, batches: batches)
            let trials = ReplayTrials(runs: runs, batches: batches, collector: collector)
            var samples: [ReplayTrials.Sample] = []
            for run in 1...runs {
                progress("growth-long: outage of \(millions) M records, run \(run) of \(runs)")
                samples.append(try trials.trial(server, &stream, spill: "\(folder.path)/outage-\(millions)-\(run)"))
            }
            trials.add(
                samples, group: "growth of an outage", row: "\(server.flavour.name), \(millions) M records", &report)
        }
        report.note(
            "growth of an outage", "\(try server.version()), two lanes; otherwise as in the table of the replay.")
    }
}
