// How many datagrams a second arrive without a loss: at the bare machine's receiver, and at the collector.
//
// The two take turns, run by run, so that a machine that slows down or has other work does so for both; the ratio is
// taken within each run.

import CFloor
import FrameCodec

struct IngestBenchmark {
    static let receiveBufferBytes = 8 << 20
    let runs: Int
    let seconds: Double
    let collector: String

    static let datagramBytes = [200, 1_400, 8_000]

    func run(into report: inout Report) throws(IngestError) {
        let sink = try Sink(receiveBufferBytes: Self.receiveBufferBytes)
        let child = try CollectorProcess(
            program: collector, receiveBufferBytes: Self.receiveBufferBytes,
            ["--flush-interval", "\(Trial.flushMilliseconds)"])
        for bytes in Self.datagramBytes { try measure(bytes, sink, child, &report) }
        progressEnd()
    }

    private func measure(
        _ bytes: Int, _ sink: borrowing Sink, _ child: borrowing CollectorProcess, _ report: inout Report
    ) throws(IngestError) {
        var supply = FrameSupply(datagramBytes: bytes)
        let group = "ingest, \(short(Double(bytes)))-byte datagrams"
        for sockets in [1, 8] {
            // Memory is touched and grown before anything counts.
            _ = try trial(sink, &supply, sockets, 20_000)
            _ = try trial(child, &supply, sockets, 20_000)
            var floors: [Capacity] = []
            var capacities: [Capacity] = []
            for run in 1...runs {
                let step = "\(group), \(sockets) source socket\(sockets == 1 ? "" : "s"), run \(run) of \(runs), "
                // In turn first: the second one finds what the first one has warmed or worn.
                if run % 2 == 1 { floors.append(try measure(sink, &supply, sockets, step)) }
                capacities.append(try measure(child, &supply, sockets, step))
                if run % 2 == 0 { floors.append(try measure(sink, &supply, sockets, step)) }
            }
            try add(group, sink.name, sockets, supply, floors, floors, &report)
            try add(group, child.name, sockets, supply, capacities, floors, &report)
        }
        report.note(
            group,
            """
            UDP over loopback, frames as MetricsClient sends them, numbered, of \(short(supply.bytesPerFrame)) B with \(short(supply.recordsPerFrame)) \
            routing records each, \(short(Double(supply.frameCount))) different ones in turn; sendmmsg in batches of \
            \(FLOOR_BATCH) from one thread; \(sink.receiveBufferBytes >> 20) MiB of SO_RCVBUF on both sides. Lossless: \
            every datagram of a trial of \(seconds) s was counted by the receiver, by the collector each record too, \
            decoded to COPY rows, at most \(Trial.behindMillisecondsMax) ms after the sender's end: what only waits in \
            a buffer is not taken. CPU is that of the lossless trial. The sender works on the same cores.
            """)
    }

    private func trial<Receiver: Target & ~Copyable>(
        _ target: borrowing Receiver, _ supply: inout FrameSupply, _ sockets: Int, _ rate: Double
    ) throws(IngestError) -> Trial {
        try Trial(target, &supply, sockets: sockets, rate: rate, seconds: seconds)
    }

    private func measure<Receiver: Target & ~Copyable>(
        _ target: borrowing Receiver, _ supply: inout FrameSupply, _ sockets: Int, _ step: String
    ) throws(IngestError) -> Capacity {
        let name = target.name
        func oneTrial(_ rate: Double) throws(IngestError) -> Trial {
            progress("\(step)\(name), \(rate == 0 ? "flat out" : "\(short(rate)) datagrams/s")")
            return try Trial(target, &supply, sockets: sockets, rate: rate, seconds: seconds)
        }
        return try Capacity(oneTrial)
    }

    private func add(
        _ group: String, _ name: String, _ sockets: Int, _ supply: FrameSupply, _ capacities: [Capacity],
        _ floors: [Capacity], _ report: inout Report
    ) throws(IngestError) {
        let row = "\(name), \(sockets) source socket\(sockets == 1 ? "" : "s")"
        let isPeer = name != CollectorProcess.discardName
        let best = capacities.compactMap(\.lossless)
        let flat = capacities.map(\.flatOut)
        guard best.count == capacities.count else {
            throw .collector("\(row): no rate was without loss. Is the machine busy with something else?")
        }
        let ratios = zip(capacities, floors).map { ($0.lossless?.rate ?? 0) / ($1.lossless?.rate ?? 1) }
        func add(_ column: String, _ unit: String, _ samples: [Double], _ better: Better? = nil) {
            report.add(group, row, column, unit, samples, better: better, isPeer: isPeer)
        }
        add("lossless", "datagrams/s", best.map(\.rate))
        add("lossless", "records/s", best.map { $0.rate * supply.recordsPerFrame })
        add("of the floor", "", ratios, .higher)
        add("sender", "CPU s/s", best.map { $0.senderCPUSeconds / $0.seconds })
        add("receiver", "CPU s/s", best.map { $0.received.cpuSeconds / $0.seconds })
        add("receiver", "CPU ns/record", best.map { $0.received.cpuSeconds * 1e9 / Double($0.sentRecords) })
        add("flat out: sent", "datagrams/s", flat.map(\.rate), .neither)
        add("taken", "datagrams/s", flat.map(\.takenRate))
        add("lost in kernel", "%", flat.map { $0.percent($0.received.kernelDrops) })
        add("lost at ring", "%", flat.map { $0.percent($0.received.otherDrops) })
        add(
            "runs bound by the sender", "%",
            [Double(capacities.count(where: \.isBoundBySender)) * 100 / Double(runs)], .neither)
    }
}
