// What a message costs the two sides of a queue while nobody else is there: one thread puts a number of them in and takes them
// all again, so that no cache line changes cores and nobody waits.

import CRingPeers
import FrameRing

struct RingAloneBenchmark {
    static let smallMessages = 16_384
    static let largeMessages = 1_536
    let runs: Int
    let rounds: Int

    /// Nanoseconds of a run, both halves.
    private struct Cost {
        var put: UInt64 = 0
        var take: UInt64 = 0
    }

    func run(into report: inout Report) throws {
        for (bytes, messages) in [(64, Self.smallMessages), (1_400, Self.largeMessages)] {
            for put in [1, 64] {
                try measure(bytes, messages, put, &report)
            }
        }
        progressEnd()
        report.note(
            "ring, alone",
            """
            CPU of one thread that puts \(short(Double(Self.smallMessages))) small or \(short(Double(Self.largeMessages))) \
            large messages in, a megabyte or two, and takes them out again, up to \(short(Double(RingBenchmark.takenMax))) with a call, round after round through 8 MiB of room.
            """)
    }

    private func measure(_ bytes: Int, _ messages: Int, _ put: Int, _ report: inout Report) throws {
        let row = "\(bytes) B, \(put == 1 ? "one by one" : "\(put) at a time")"
        progress("ring, alone: \(row)")
        var ours: [Cost] = []
        var peers: [Cost] = []
        _ = try ringCost(bytes, messages, put)
        for run in 0..<runs {
            // The other way round in every second run.
            if run % 2 == 0 { ours.append(try ringCost(bytes, messages, put)) }
            peers.append(try peerCost(bytes, messages, put))
            if run % 2 == 1 { ours.append(try ringCost(bytes, messages, put)) }
        }
        func add(_ name: String, _ costs: [Cost], isPeer: Bool) {
            func column(_ side: String, _ nanoseconds: (Cost) -> UInt64) {
                report.add(
                    "ring, alone", row, "\(name), \(side)", "ns/message",
                    costs.map { Double(nanoseconds($0)) / Double(rounds * messages) }, isPeer: isPeer)
            }
            column("put") { $0.put }
            column("take") { $0.take }
        }
        add("FrameRing", ours, isPeer: false)
        add("moodycamel", peers, isPeer: true)
    }

    private func peerCost(_ bytes: Int, _ messages: Int, _ put: Int) throws -> Cost {
        var cost = Cost()
        let isDone = ring_peer_alone(
            UInt32(rounds), UInt32(messages), UInt32(bytes), UInt32(put), &cost.put, &cost.take)
        guard isDone else { throw RingBenchmark.PeerError(peer: "moodycamel") }
        return cost
    }

    private func ringCost(_ bytes: Int, _ messages: Int, _ put: Int) throws -> Cost {
        let ring = FrameRing(capacityBytes: RingBenchmark.roomBytes)
        var consumer = ring.takeConsumer()
        let message = [UInt8](repeating: 7, count: bytes)
        var cost = Cost()
        var sum: UInt64 = 0
        for _ in 0..<rounds {
            let start = threadNanoseconds()
            var isDone = true
            for _ in 0..<messages / put {
                isDone =
                    (put == 1 ? RingBenchmark.append(message, to: ring) : RingBenchmark.claim(message, put, in: ring))
                    && isDone
            }
            let between = threadNanoseconds()
            var received = 0
            while isDone, received < messages {
                let taken = consumer.consume(maximumRecords: RingBenchmark.takenMax) { record, _ in
                    sum &+= record.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
                    return true
                }
                isDone = taken > 0
                received += taken
            }
            guard isDone else { throw RingBenchmark.PeerError(peer: "FrameRing") }
            cost.put += between - start
            cost.take += threadNanoseconds() - between
        }
        guard sum == UInt64(rounds * messages) &* RingBenchmark.word(of: message) else {
            throw RingBenchmark.PeerError(peer: "FrameRing")
        }
        return cost
    }
}
