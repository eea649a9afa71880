// How many records a second go over TCP into a collector that decodes and drops them, beside a bare reader of the same
// writer.

import CFloor
import Glibc

struct StreamBenchmark {
    let runs: Int
    /// Of 50,000 records, for each trial.
    let batches: Int
    let collector: String

    /// The collector's batches at the end of a trial are not full and wait for this.
    private static let flushMilliseconds = 20
    /// The bare reader gets everything so many times over: it is done too soon to be timed otherwise.
    private static let floorRepeats = 4

    private static let peer = "bare reader"

    private struct Sample {
        var bytesPerSecond: Double
        var senderCPU: Double
        var receiverCPU: Double
    }

    func run(into report: inout Report) throws {
        let child = try CollectorProcess(
            program: collector, udp: false, tcp: true,
            ["--database", "discard", "--flush-interval", "\(Self.flushMilliseconds)"])
        guard let sink = floor_stream_sink_start() else { throw BenchError("the bare reader: errno \(errno)") }
        defer { floor_stream_sink_stop(sink) }
        for (shape, bytes) in [("32 KiB frames", 32 << 10), ("1,400-byte frames", 1_400)] {
            for connections in [1, 8] {
                let what = "\(shape), \(connections) connection\(connections == 1 ? "" : "s")"
                progress("tcp: \(what), encoding")
                var stream = FrameStream(
                    frameBytes: bytes, batches: batches / connections, connections: connections)
                // Memory is touched and grown before anything counts.
                _ = try collectorTrial(child, &stream)
                var ours: [Sample] = []
                var floors: [Sample] = []
                for run in 1...runs {
                    progress("tcp: \(what), run \(run) of \(runs)")
                    if run % 2 == 1 { floors.append(try floorTrial(sink, stream)) }
                    ours.append(try collectorTrial(child, &stream))
                    if run % 2 == 0 { floors.append(try floorTrial(sink, stream)) }
                }
                add("\(Self.peer), \(what)", floors, floors, stream, &report)
                add("spillway serve, decode and discard, \(what)", ours, floors, stream, &report)
            }
        }
        progressEnd()
        report.note(
            "tcp",
            """
            Numbered frames of \(short(Double(batches) * 50_000)) routing records over loopback, a writing thread for \
            each connection, writes of \(FLOOR_STREAM_WRITE >> 10) KiB, as fast as they are taken; the bare reader gets \
            all of it \(Self.floorRepeats) times over, one thread, reads of \(FLOOR_STREAM_READ >> 10) KiB. The \
            collector acknowledges; another thread for each connection reads that and drops it. Time is from the first \
            write to when the last record was counted as committed, up to \(Self.flushMilliseconds) ms of it the last \
            batch's time to be over. CPU in seconds a second, the sender's on the same cores.
            """)
    }

    private func floorTrial(_ sink: OpaquePointer, _ stream: FrameStream) throws -> Sample {
        let before = floor_stream_sink_bytes(sink)
        let cpuBefore = floor_stream_sink_cpu(sink)
        let start = nowNanoseconds()
        // Returns when the reader has closed, and so has read everything.
        let sent = stream.write(to: floor_stream_sink_port(sink), repeats: Self.floorRepeats)
        let seconds = Double(nowNanoseconds() - start) / 1e9
        guard sent.error == 0, floor_stream_sink_bytes(sink) - before == sent.bytes else {
            throw BenchError("writing to the bare reader failed: errno \(sent.error)")
        }
        return Sample(
            bytesPerSecond: Double(sent.bytes) / seconds, senderCPU: Double(sent.cpu_ns) / 1e9 / seconds,
            receiverCPU: Double(floor_stream_sink_cpu(sink) - cpuBefore) / 1e9 / seconds)
    }

    private func collectorTrial(_ child: borrowing CollectorProcess, _ stream: inout FrameStream) throws -> Sample {
        stream.renumber()
        let trial = try StreamTrial(child, stream)
        return Sample(
            bytesPerSecond: trial.bytes / trial.seconds, senderCPU: trial.senderCPUSeconds / trial.seconds,
            receiverCPU: trial.collectorCPUSeconds / trial.seconds)
    }

    private func add(
        _ row: String, _ samples: [Sample], _ floors: [Sample], _ stream: FrameStream, _ report: inout Report
    ) {
        func add(_ column: String, _ unit: String, _ values: [Double], _ better: Better? = nil) {
            report.add("tcp", row, column, unit, values, better: better, isPeer: row.hasPrefix(Self.peer))
        }
        add("", "records/s", samples.map { $0.bytesPerSecond / stream.bytesPerRecord })
        add("", "MB/s", samples.map { $0.bytesPerSecond / 1e6 })
        add("of the floor", "", zip(samples, floors).map { $0.bytesPerSecond / $1.bytesPerSecond }, .higher)
        add("sender", "CPU s/s", samples.map(\.senderCPU))
        add("receiver", "CPU s/s", samples.map(\.receiverCPU))
        add(
            "receiver", "CPU ns/record",
            samples.map { $0.receiverCPU * 1e9 * stream.bytesPerRecord / $0.bytesPerSecond })
    }
}
