// How many rows a second the collector brings into a real database, beside psql with the same rows over as many
// connections.
//
// The two take turns, and the ratio is taken within each run. Every trial begins with an empty table and a checkpoint.

import Foundation
import MetricKinds
import StoreSchema

struct DrainBenchmark {
    let runs: Int
    /// Of 50,000 rows each, for a trial; even, so that two lanes and two psqls get the same.
    let batches: Int
    let collector: String
    static let group = "drain"
    private static let frameBytes = 32 << 10
    static let table = "\(MetricKind.schemaName).\(MetricKind.routing.tableName)"
    /// The day of the generator's records.
    static let dayMicroseconds: Int64 = 1_767_225_600_000_000

    func run(into report: inout Report) throws {
        let folder = try BenchFolder()
        progress("drain: encoding \(batches * 50_000) records")
        var stream = FrameStream(frameBytes: Self.frameBytes, batches: batches)
        let files = try CopyFiles.forOneAndTwo(
            stream, frameBytes: Self.frameBytes, batches: batches, in: folder)
        var versions: [String] = []
        for flavour in DatabaseServer.Flavour.allCases {
            guard let server = try DatabaseServer.start(flavour, in: folder) else { continue }
            versions.append(try server.version())
            progress("drain: \(flavour.name), warming up")
            try Self.prepare(server, hasChunk: true)
            _ = try files[0].copy(to: server)
            for lanes in 1...2 {
                try measure(server, lanes: lanes, files[lanes - 1], &stream, &report)
            }
        }
        progressEnd()
        guard !versions.isEmpty else { return }
        report.note(
            Self.group,
            """
            \(versions.joined(separator: "; ")), run as the collector runs its embedded database: fsync and data \
            checksums on, 256 MB of shared_buffers, WAL compressed. \(short(Double(batches) * 50_000)) routing rows of one day into \
            \(Self.table) with its index on time; batches of 50,000, each a transaction with its ledger rows; a psql \
            has one transaction. The frames come over one TCP connection as fast as they are taken, in 32 KiB each; \
            without a spill, so that the drain holds them back. CPU of the server is that of all its processes.
            """)
    }

    private func measure(
        _ server: DatabaseServer, lanes: Int, _ files: CopyFiles, _ stream: inout FrameStream, _ report: inout Report
    ) throws {
        let child = try CollectorProcess(
            program: collector, udp: false, tcp: true,
            ["--database", server.url, "--spill-directory", "none", "--lanes", "\(lanes)"])
        // Only a hypertable makes chunks as they are needed; a partition that is missing sends rows to the default one.
        let states: [(name: String, hasChunk: Bool)] =
            server.flavour == .timescale
            ? [("chunk there", true), ("chunk absent", false)] : [("partition there", true)]
        var ours: [[DrainTrial]] = states.map { _ in [] }
        var theirs: [[DrainTrial]] = states.map { _ in [] }
        for run in 1...runs {
            for (index, state) in states.enumerated() {
                let step = "drain: \(server.flavour.name), \(state.name), \(lanes) at a time, run \(run) of \(runs), "
                func byPsql() throws {
                    progress(step + "psql")
                    try Self.prepare(server, hasChunk: state.hasChunk)
                    theirs[index].append(try DrainTrial(psql: server, files, rows: batches * 50_000))
                }
                if run % 2 == 1 { try byPsql() }
                progress(step + "collector")
                try Self.prepare(server, hasChunk: state.hasChunk)
                stream.renumber()
                ours[index].append(try DrainTrial(server, child, stream, lanes: lanes))
                if run % 2 == 0 { try byPsql() }
            }
        }
        for (index, state) in states.enumerated() {
            let place = "\(server.flavour.name), \(state.name), "
            add(place + "psql \\copy, \(lanes) at a time", theirs[index], theirs[index], isPeer: true, &report)
            add(place + "spillway serve, \(lanes) lane\(lanes == 1 ? "" : "s")", ours[index], theirs[index], &report)
        }
    }

    private func add(
        _ row: String, _ samples: [DrainTrial], _ floors: [DrainTrial], isPeer: Bool = false, _ report: inout Report
    ) {
        let millions = Double(batches) * 0.05
        func add(_ column: String, _ unit: String, _ values: [Double], _ better: Better? = nil) {
            report.add(Self.group, row, column, unit, values, better: better, isPeer: isPeer)
        }
        add("", "rows/s", samples.map(\.wholeRate))
        add("of psql", "", zip(samples, floors).map { $0.wholeRate / $1.wholeRate }, .higher)
        add("once it is going", "rows/s", samples.map(\.rate))
        // A pace by a whole run: nothing to be judged by.
        add("of psql, once it is going", "", zip(samples, floors).map { $0.rate / $1.wholeRate }, .neither)
        add("client CPU", "s/M rows", samples.map { $0.clientCPUSeconds / millions })
        add("server CPU", "s/M rows", samples.map { $0.serverCPUSeconds / millions })
    }

    /// An empty table, with the day's chunk or partition or without, and nothing left to be written to disk.
    static func prepare(
        _ server: DatabaseServer, hasChunk: Bool, dayMicroseconds: Int64 = Self.dayMicroseconds
    ) throws {
        let connection = try server.connect()
        try connection.execute("TRUNCATE \(table)")
        if hasChunk {
            _ = try SchemaManager(connection, now: { dayMicroseconds }).ensurePartitionsAhead(days: 0)
        }
        try connection.execute("CHECKPOINT")
    }
}
