// An outage in small: the server is stopped, the collector spills what comes, the server comes back, the spill is replayed.

import Foundation
import StoreSchema

struct ReplayTrials {
    let runs: Int
    let batches: Int
    let collector: String
    private static let patienceSeconds = 300.0

    /// What a run gave, in records a second.
    struct Sample {
        var direct = 0.0
        var intoSpill = 0.0
        var replay = 0.0
        var residentBytesMax = 0.0
    }

    func run(_ folder: BenchFolder, into report: inout Report) throws {
        let flavour: DatabaseServer.Flavour = DatabaseServer.Flavour.timescale.programs == nil ? .plain : .timescale
        guard let server = try DatabaseServer.start(flavour, in: folder) else { return }
        var stream = FrameStream(frameBytes: 32 << 10, batches: batches)
        var samples: [Sample] = []
        for run in 1...runs {
            progress("spill: replay of \(short(Double(stream.recordCount))) records, run \(run) of \(runs)")
            samples.append(try trial(server, &stream, spill: "\(folder.path)/spill-\(run)"))
        }
        let row = "\(flavour.name), \(short(Double(stream.recordCount))) records"
        add(samples, group: "replay", row: row, &report)
        report.note(
            "replay",
            """
            \(try server.version()), two lanes. Direct: without a spill, as in the drain's table. Then a collector \
            with a spill, its server stopped: the records come in over TCP and are acknowledged from the disk; the \
            server comes back. Replay is from the second batch that is committed to the empty spill.
            """)
    }

    func add(_ samples: [Sample], group: String, row: String, _ report: inout Report) {
        func add(_ column: String, _ unit: String, _ values: [Double], _ better: Better? = nil) {
            report.add(group, row, column, unit, values, better: better)
        }
        add("direct", "rows/s", samples.map(\.direct))
        add("into the spill", "records/s", samples.map(\.intoSpill))
        add("replay", "rows/s", samples.map(\.replay))
        add("of direct", "", samples.map { $0.replay / $0.direct }, .higher)
        add("resident at most", "MB", samples.map { $0.residentBytesMax / 1e6 })
    }

    /// One run, with collectors of its own.
    func trial(_ server: DatabaseServer, _ stream: inout FrameStream, spill: String) throws -> Sample {
        var sample = Sample()
        try DrainBenchmark.prepare(server, hasChunk: true)
        stream.renumber()
        sample.direct = try direct(server, stream)
        try DrainBenchmark.prepare(server, hasChunk: true)
        stream.renumber()
        try spilled(server, stream, spill, &sample)
        try FileManager.default.removeItem(atPath: spill)
        return sample
    }

    private func direct(_ server: DatabaseServer, _ stream: FrameStream) throws -> Double {
        let child = try CollectorProcess(
            program: collector, udp: false, tcp: true, ["--database", server.url, "--spill-directory", "none"])
        return try StreamTrial(child, stream, startRecords: 100_000).steadyRate
    }

    private func spilled(
        _ server: DatabaseServer, _ stream: FrameStream, _ spill: String, _ sample: inout Sample
    ) throws {
        let child = try CollectorProcess(
            program: collector, udp: false, tcp: true,
            // That the server is away is a warning, and meant to be.
            ["--database", server.url, "--spill-directory", spill, "--log-level", "error"])
        let count = UInt64(stream.recordCount)
        server.stop()
        do {
            let start = nowNanoseconds()
            let port = child.tcpPort
            let writer = try Worker { _ = stream.write(to: port) }
            try wait(child, milliseconds: 10) { $0["records_in_spill"] == count }
            sample.intoSpill = Double(count) * 1e9 / Double(nowNanoseconds() - start)
            writer.join()
        } catch {
            try server.start()
            throw error
        }
        try server.start()
        try wait(child, milliseconds: 5) { $0["records_replayed", default: 0] >= 100_000 }
        let start = nowNanoseconds()
        let before = try child.total("records_replayed")
        try wait(child, milliseconds: 10) { $0["records_in_spill"] == 0 }
        sample.replay = Double(count - before) * 1e9 / Double(nowNanoseconds() - start)
        sample.residentBytesMax = Double(residentBytesMax(child.processID) ?? 0)
    }

    private func wait(
        _ child: borrowing CollectorProcess, milliseconds: UInt32, _ isDone: ([String: UInt64]) -> Bool
    ) throws {
        let deadline = nowNanoseconds() + UInt64(Self.patienceSeconds * 1e9)
        while !isDone(try child.totals()) {
            guard nowNanoseconds() < deadline else { throw BenchError("the collector's spill does not come to an end") }
            usleep(milliseconds * 1_000)
        }
    }
}
