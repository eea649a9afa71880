// What a flavour of the database, its indexes and its compression cost and give: rows a second beside psql with the same rows,
// bytes on disk, and how long three questions take.

import Foundation
import MetricKinds
import Postgres
import StoreSchema

struct DatabaseBenchmark {
    let runs: Int
    /// Of 50,000 rows each, for a trial; even.
    let batches: Int
    let collector: String
    static let group = "database"
    private static let frameBytes = 32 << 10

    /// What the table has to find rows by.
    private enum Indexes: String, CaseIterable {
        case none = "no index"
        case time = "time"
        case descending = "time DESC"
        case timeAndSegment = "time; model, time"
        case timeAndQuery = "time; query"
        case brin = "BRIN of time"

        var statements: [String] {
            let table = DrainBenchmark.table
            let name = MetricKind.routing.tableName
            let drop = "DROP INDEX IF EXISTS \(MetricKind.schemaName)."
            let clean = [name + "_time_idx", "bench_a", "bench_b"].map { drop + $0 }
            let time = "CREATE INDEX \(name)_time_idx ON \(table) (time)"
            switch self {
            case .none: return clean
            case .time: return clean + [time]
            case .descending: return clean + ["CREATE INDEX bench_a ON \(table) (time DESC)"]
            case .timeAndSegment: return clean + [time, "CREATE INDEX bench_a ON \(table) (model_selected, time DESC)"]
            case .timeAndQuery: return clean + [time, "CREATE INDEX bench_b ON \(table) (query_id)"]
            case .brin: return clean + ["CREATE INDEX bench_a ON \(table) USING brin (time)"]
            }
        }
    }

    private struct Setup {
        var indexes = Indexes.time
        var compresses = false
        var lanes = 2

        var name: String {
            (compresses ? "compressed directly, " : "") + "\(indexes.rawValue), \(lanes) lane\(lanes == 1 ? "" : "s")"
        }
    }

    /// Questions over the trial's rows, which lie in about ten minutes.
    private static let questions = [
        (
            "model in a minute",
            """
            SELECT date_trunc('minute', time) AS minute, avg(total_routing_time_ms),
                percentile_cont(0.95) WITHIN GROUP (ORDER BY total_routing_time_ms)
            FROM \(DrainBenchmark.table) WHERE model_selected = $1 AND time >= $2 AND time < $3 GROUP BY 1
            """
        ),
        (
            "latest of a model",
            "SELECT * FROM \(DrainBenchmark.table) WHERE model_selected = $1 AND $2::timestamptz < $3 ORDER BY time DESC LIMIT 100"
        ),
        (
            "all by model",
            """
            SELECT model_selected, count(*), avg(total_routing_time_ms) FROM \(DrainBenchmark.table)
            WHERE $1::text IS NOT NULL AND time >= $2::timestamptz - interval '1 day' AND time < $3::timestamptz + interval '1 day'
            GROUP BY 1
            """
        ),
    ]

    func run(into report: inout Report) throws {
        let folder = try BenchFolder()
        progress("database: encoding \(batches * 50_000) records")
        var stream = FrameStream(frameBytes: Self.frameBytes, batches: batches)
        let files = try CopyFiles.forOneAndTwo(
            stream, frameBytes: Self.frameBytes, batches: batches, in: folder)
        var servers: [() throws -> DatabaseServer?] = DatabaseServer.Flavour.allCases.map { flavour in
            { try DatabaseServer.start(flavour, in: folder) }
        }
        servers.append { try DatabaseServer.startCommunity() }
        var versions: [String] = []
        for start in servers {
            guard let server = try start() else { continue }
            versions.append(try server.version())
            try DrainBenchmark.prepare(server, hasChunk: true)
            _ = try files[0].copy(to: server)
            var setups = Indexes.allCases.map { Setup(indexes: $0) } + [Setup(lanes: 1)]
            if server.flavour == .community { setups += [Setup(compresses: true), Setup(compresses: true, lanes: 1)] }
            for setup in setups { try measure(server, setup, files[setup.lanes - 1], &stream, &report) }
        }
        progressEnd()
        guard !versions.isEmpty else { return }
        report.note(
            Self.group,
            """
            \(versions.joined(separator: "; ")). \(short(Double(batches) * 50_000)) routing rows of one day, the day's chunk or partition \
            there, batches of 50,000; psql with the same rows over as many connections and into the same indexes, without \
            compression, in turns with it. Disk is table, indexes and TOAST behind the trial; questions are asked three times, of a \
            warm server, and the fastest counts.
            """)
    }

    private func measure(
        _ server: DatabaseServer, _ setup: Setup, _ files: CopyFiles, _ stream: inout FrameStream,
        _ report: inout Report
    ) throws {
        let connection = try server.connect()
        try connection.execute("TRUNCATE \(DrainBenchmark.table)")
        for statement in setup.indexes.statements { try connection.execute(statement) }
        let child = try CollectorProcess(
            program: collector, udp: false, tcp: true,
            ["--database", server.url, "--spill-directory", "none", "--lanes", "\(setup.lanes)"]
                + (setup.compresses ? ["--direct-compress"] : []))
        var ours: [DrainTrial] = []
        var theirs: [DrainTrial] = []
        var bytes: [Double] = []
        var seconds: [[Double]] = Self.questions.map { _ in [] }
        for run in 1...runs {
            let step = "database: \(server.flavour.name), \(setup.name), run \(run) of \(runs), "
            progress(step + "psql")
            try prepare(connection, compresses: false)
            theirs.append(try DrainTrial(psql: server, files, rows: batches * 50_000))
            progress(step + "collector")
            try prepare(connection, compresses: setup.compresses)
            stream.renumber()
            ours.append(try DrainTrial(server, child, stream, lanes: setup.lanes))
            progress(step + "questions")
            bytes.append(try size(connection, server))
            try connection.execute("ANALYZE \(DrainBenchmark.table)")
            for (index, question) in Self.questions.enumerated() {
                seconds[index].append(try ask(connection, question.1))
            }
        }
        let millions = Double(batches) * 0.05
        let row = "\(server.flavour.name), \(setup.name)"
        report.add(Self.group, row, "", "rows/s", ours.map(\.wholeRate))
        report.add(
            Self.group, row, "of psql", "", zip(ours, theirs).map { $0.wholeRate / $1.wholeRate }, better: .higher)
        report.add(Self.group, row, "psql", "rows/s", theirs.map(\.rate), isPeer: true)
        report.add(Self.group, row, "disk", "MB/M rows", bytes.map { $0 / 1e6 / millions })
        for (index, question) in Self.questions.enumerated() {
            report.add(Self.group, row, question.0, "ms", seconds[index].map { $0 * 1_000 })
        }
    }

    private func prepare(_ connection: DatabaseConnection, compresses: Bool) throws {
        try connection.execute("TRUNCATE \(DrainBenchmark.table)")
        _ = try SchemaManager(connection, now: { DrainBenchmark.dayMicroseconds }).ensurePartitionsAhead(
            days: 0, compressesChunks: compresses)
        try connection.execute("CHECKPOINT")
    }

    private func size(_ connection: DatabaseConnection, _ server: DatabaseServer) throws -> Double {
        let sql =
            server.flavour == .plain
            ? "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = $1::regclass"
            : "SELECT hypertable_size($1::regclass)"
        return Double(try connection.query(sql, [DrainBenchmark.table]).first?[0] ?? "") ?? 0
    }

    /// The fastest of three.
    private func ask(_ connection: DatabaseConnection, _ question: String) throws -> Double {
        let first = try connection.query("SELECT min(time), min(model_selected) FROM \(DrainBenchmark.table)")
        let times = try connection.query(
            "SELECT $1::timestamptz + interval '1 minute', $1::timestamptz + interval '2 minutes'", [first[0][0]])
        var best = Double.infinity
        for _ in 0..<3 {
            let start = nowNanoseconds()
            let rows = try connection.query(question, [first[0][1], times[0][0], times[0][1]])
            best = min(best, Double(nowNanoseconds() - start) / 1e9)
            guard !rows.isEmpty else { throw BenchError("a question found nothing") }
        }
        return best
    }
}
