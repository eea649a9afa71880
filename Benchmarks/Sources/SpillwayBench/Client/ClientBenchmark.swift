// What a record costs the program that gives it away, beside the StatsD client that the program may have today.
//
// The clients take turns, run by run. Each sends over loopback to a thread that takes the datagrams and counts them.

import CAllocations
import CStatsD
import FrameCodec
import Glibc
import SpillwayClient

enum ClientBenchmarkError: Error, CustomStringConvertible {
    case statsd(code: Int32)
    case lost(String)

    var description: String {
        switch self {
        case .statsd(let code): "the StatsD client has no socket: errno \(code)"
        case .lost(let client): "\(client): the kernel or the client refused records"
        }
    }
}

struct ClientBenchmark {
    /// Given in turn. Few, so that they lie in the cache as a record does that was made just now.
    static let recordCount = 1_000
    /// A client sends with some records and not with others: so many passes are counted together.
    static let countedPasses = 50
    static let receiveBufferBytes = 8 << 20
    let runs: Int
    let milliseconds: Int

    /// A way to give all records away once.
    private struct Contender {
        let name: String
        let pass: () -> Void
        let sent: () throws -> Sent
    }

    func run(into report: inout Report) throws {
        let sink = try Sink(receiveBufferBytes: Self.receiveBufferBytes)
        try measure(PointRecord.self, sink, &report)
        try measure(RoutingRecord.self, sink, &report)
        progressEnd()
        report.note(
            "client",
            """
            UDP over loopback to a thread that takes the datagrams, which is not in the figures; \(short(Double(Self.recordCount))) \
            records in turn. CPU is that of the calling thread, system calls and the kernel's delivery included. The \
            StatsD client prints with snprintf, six digits of a fraction, makes a record's tags once, and takes no lock. \
            MetricsClient is safe from any thread, and its frames have times, sequences and checksums.
            """)
    }

    @inline(never)
    private func measure<Record: MadeFromValues>(
        _ type: Record.Type, _ sink: borrowing Sink, _ report: inout Report
    ) throws {
        let kind = Record.kind.name
        progress("client: making \(kind) records")
        let generated = RecordSet(Record.kind, count: Self.recordCount).records
        let typed = generated.map { Record(values: $0) }
        // Nothing is sent but by the thread that records.
        let options = MetricsClientOptions(flushIntervalSeconds: 86_400)
        let metrics = try MetricsClient(to: "udp://127.0.0.1:\(sink.port)", source: "spillway-bench", options: options)
        let lines = StatsDRecords(generated)
        let single = try StatsDClient(port: sink.port, datagramBytesMax: 0)
        let batched = try StatsDClient(port: sink.port, datagramBytesMax: FrameLimits.datagramBytesDefault)
        let each = lines.linesPerRecord == 1 ? "a line" : "\(fixed(lines.linesPerRecord, decimals: 0)) lines"

        let contenders = [
            Contender(name: "MetricsClient") {
                let records = typed.span
                // Each is copied out, which retains its strings: a caller that has just made one does not pay for that.
                for index in records.indices { metrics.record(records[index]) }
            } sent: {
                let now = metrics.statistics
                guard now.recordsDropped + now.recordsRefused == 0 else {
                    throw ClientBenchmarkError.lost("MetricsClient")
                }
                return Sent(datagrams: now.framesSent, bytes: now.bytesSent)
            },
            Contender(name: "StatsD in C, \(each), a datagram each") {
                single.record(lines)
            } sent: {
                try single.sent()
            },
            Contender(name: "StatsD in C, \(each), in 1,400-byte datagrams") {
                batched.record(lines)
            } sent: {
                try batched.sent()
            },
        ]
        try measure(contenders, kind, &report)
        metrics.close()
    }

    private func measure(_ contenders: [Contender], _ kind: String, _ report: inout Report) throws {
        var costs = contenders.map { _ in [Double]() }
        let perRecord = 1 / Double(Self.recordCount)
        for contender in contenders {
            contender.pass()
            contender.pass()
        }
        for run in 1...runs {
            progress("client: \(kind), run \(run) of \(runs)")
            // The other way round in every second run.
            for index in run % 2 == 1 ? Array(contenders.indices) : contenders.indices.reversed() {
                costs[index].append(
                    nanosecondsPerPass(milliseconds: milliseconds, contenders[index].pass) * perRecord)
            }
        }
        for (contender, cost) in zip(contenders, costs) {
            let row = "\(kind), \(contender.name)"
            let before = try contender.sent()
            let sendsBefore = spillway_bench_thread_sends()
            let made = allocations { for _ in 0..<Self.countedPasses { contender.pass() } }
            let sends = spillway_bench_thread_sends() - sendsBefore
            let after = try contender.sent()
            let counted = Double(Self.countedPasses * Self.recordCount)
            let isPeer = contender.name != contenders[0].name
            func add(_ column: String, _ unit: String, _ samples: [Double], _ better: Better? = nil) {
                report.add("client", row, column, unit, samples, better: better, isPeer: isPeer)
            }
            add("caller", "CPU ns/record", cost)
            add("of MetricsClient's", "", zip(cost, costs[0]).map { $0 / $1 }, .neither)
            add("allocations", "per record", [Double(made) / counted])
            add("system calls", "per record", [Double(sends) / counted])
            add("datagrams", "per record", [Double(after.datagrams - before.datagrams) / counted])
            add("sent", "B/record", [Double(after.bytes - before.bytes) / counted])
        }
    }
}

/// What the kernel has taken.
private struct Sent {
    let datagrams: UInt64
    let bytes: UInt64
}

/// The client in C.
private final class StatsDClient {
    private let handle: OpaquePointer

    init(port: UInt16, datagramBytesMax: Int) throws(ClientBenchmarkError) {
        guard let handle = statsd_open(port, datagramBytesMax) else { throw .statsd(code: errno) }
        self.handle = handle
    }

    deinit { statsd_close(handle) }

    func record(_ lines: StatsDRecords) {
        lines.records.withUnsafeBufferPointer { records in
            guard let first = records.baseAddress else { return }
            for index in records.indices { statsd_record(handle, first + index) }
        }
        // Their texts are memory of C, which nothing else keeps.
        withExtendedLifetime(lines) {}
    }

    func sent() throws(ClientBenchmarkError) -> Sent {
        let now = statsd_read(handle)
        guard now.refused == 0 else { throw .lost("the StatsD client") }
        return Sent(datagrams: now.datagrams, bytes: now.bytes)
    }
}
