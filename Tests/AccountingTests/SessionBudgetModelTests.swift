// Random traffic against what really happened: frames are lost, late or repeated, and sessions find too little room.

import FrameCodec
import TestSupport
import Testing

@testable import Accounting

@Suite struct SessionBudgetModelTests {
    @Test(arguments: 1...120 as ClosedRange<UInt64>)
    func reportsAtMostWhatWasLostAndExactlyThatWithoutEvictions(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let count = Int.random(in: 1...40, using: &random)
        // With one session for each source, an invented loss is not hidden by one that was not seen.
        let sources = Bool.random(using: &random) ? count : Int.random(in: 1...6, using: &random)
        let hasRoom = Bool.random(using: &random)
        let sessionsMax = hasRoom ? count : Int.random(in: 1...12, using: &random)
        var fleet = ReplicaFleet(replicas: count, sources: sources, sessionsMax: sessionsMax)
        try run(&fleet, &random)

        let snapshot = fleet.accounting.snapshot()
        #expect(fleet.newFramesRefused == 0, "seed \(seed)")
        #expect(snapshot.sessionsTracked <= sessionsMax, "seed \(seed)")
        #expect(
            snapshot.sources.reduce(0) { $0 + $1.counts[.sessionsEvicted] } == snapshot.totals[.sessionsEvicted],
            "seed \(seed)")
        #expect(!hasRoom || snapshot.totals[.sessionsEvicted] == 0, "seed \(seed)")
        for source in snapshot.sources { check(source, against: fleet, seed: seed) }
    }

    private func check(_ source: AccountingSnapshot.Source, against fleet: ReplicaFleet, seed: UInt64) {
        func truth(_ value: (ReplicaFleet.Replica) -> UInt64) -> UInt64 { fleet.sum(value, ofSource: source.source) }
        let books = source.reconciliation
        let hasEvictions = source.counts[.sessionsEvicted] > 0
        #expect(books.isExact == !hasEvictions, "seed \(seed)")
        #expect(books.framesSent <= truth(\.framesSent), "seed \(seed)")
        #expect(books.recordsSent <= truth(\.recordsSent), "seed \(seed)")
        #expect(books.framesMissing <= truth(\.framesLost), "seed \(seed)")
        #expect(books.recordsMissing <= truth(\.recordsLost), "seed \(seed)")
        #expect(source.sequenceGapFrames <= truth(\.gapFrames), "seed \(seed)")
        #expect(source.sessions == truth { $0.hasReported ? 1 : 0 }, "seed \(seed)")
        guard !hasEvictions else { return }
        #expect(books.sessions == source.sessions && books.sessionsBegunBefore == 0, "seed \(seed)")
        #expect(books.framesSent == truth(\.framesSent), "seed \(seed)")
        #expect(books.recordsSent == truth(\.recordsSent), "seed \(seed)")
        #expect(books.framesMissing == truth(\.framesLost), "seed \(seed)")
        #expect(books.recordsMissing == truth(\.recordsLost), "seed \(seed)")
        #expect(source.sequenceGapFrames == truth(\.gapFrames), "seed \(seed)")
    }

    /// Sends in random order, then delivers what is still on its way and lets each replica report.
    private func run(_ fleet: inout ReplicaFleet, _ random: inout SeededGenerator) throws {
        let lostPercent = Int.random(in: 0...40, using: &random)
        let latePercent = Int.random(in: 0...20, using: &random)
        let repeatedPercent = Int.random(in: 0...10, using: &random)
        let runFrames = Int.random(in: 1...8, using: &random)
        var late: [ReplicaFleet.SentFrame] = []
        for _ in 0..<400 {
            fleet.nowMicroseconds += Int64.random(in: -1_000...2_000, using: &random)
            let replica = Int.random(in: fleet.replicas.indices, using: &random)
            for _ in 0..<runFrames {
                let frame = fleet.send(from: replica)
                let chance = Int.random(in: 0..<100, using: &random)
                if chance < lostPercent { continue }
                if chance < lostPercent + latePercent {
                    late.append(frame)
                } else {
                    try fleet.receive(frame)
                    if Int.random(in: 0..<100, using: &random) < repeatedPercent { late.append(frame) }
                }
            }
            if Int.random(in: 0..<4, using: &random) == 0 { try fleet.heartbeat(from: replica) }
            while late.count > 20 || (!late.isEmpty && Bool.random(using: &random)) {
                try fleet.receive(late.remove(at: Int.random(in: late.indices, using: &random)))
            }
        }
        for frame in late.shuffled(using: &random) { try fleet.receive(frame) }
        for replica in fleet.replicas.indices { try fleet.heartbeat(from: replica) }
    }
}
