// Many sessions of one source, and more sessions than there is room for.

import FrameCodec
import TestSupport
import Testing

@testable import Accounting

@Suite struct SessionBudgetTests {
    @Test(arguments: [20, 200])
    func interleavedReplicasOfOneSourceLoseNothing(count: Int) throws {
        var fleet = ReplicaFleet(replicas: count)
        for round in 1...50 {
            for replica in 0..<count {
                try fleet.receive(fleet.send(from: replica))
                if round % 10 == 0 { try fleet.heartbeat(from: replica) }
            }
        }
        let snapshot = fleet.accounting.snapshot()
        let books = snapshot.reconciliation
        #expect(books.sessions == UInt64(count) && books.sessionsBegunBefore == 0)
        #expect(books.framesSent == UInt64(50 * count))
        #expect(books.recordsSent == fleet.sum(\.recordsSent))
        #expect(books.framesMissing == 0 && books.recordsMissing == 0 && books.isExact)
        #expect(snapshot.sequenceGapFrames == 0)
        #expect(snapshot.sources.first?.sessions == UInt64(count))
        #expect(snapshot.sessionsTracked == count)
        #expect(snapshot.totals[.sessionsEvicted] == 0)
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func lossesOfManyReplicasAreExact(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var fleet = ReplicaFleet(replicas: 200)
        for round in 1...40 {
            for replica in 0..<200 {
                let frame = fleet.send(from: replica)
                if Int.random(in: 0..<10, using: &random) >= 3 { try fleet.receive(frame) }
                if round % 10 == 0 { try fleet.heartbeat(from: replica) }
            }
        }
        let snapshot = fleet.accounting.snapshot()
        let books = snapshot.reconciliation
        #expect(fleet.sum(\.framesLost) > 2_000, "seed \(seed)")
        #expect(books.framesSent == 8_000 && books.recordsSent == fleet.sum(\.recordsSent), "seed \(seed)")
        #expect(books.framesMissing == fleet.sum(\.framesLost), "seed \(seed)")
        #expect(books.recordsMissing == fleet.sum(\.recordsLost), "seed \(seed)")
        #expect(snapshot.sequenceGapFrames == fleet.sum(\.gapFrames), "seed \(seed)")
        #expect(books.isExact, "seed \(seed)")
    }

    @Test(arguments: [0, 25])
    func evictionsAreCountedAndInventNothing(lostPercent: Int) throws {
        var random = SeededGenerator(seed: 7)
        var fleet = ReplicaFleet(replicas: 40, sessionsMax: 8)
        for round in 1...20 {
            for replica in 0..<40 {
                // Several in a row, so that accounts see more of a session than one frame.
                for _ in 0..<5 {
                    let frame = fleet.send(from: replica)
                    if Int.random(in: 0..<100, using: &random) >= lostPercent { try fleet.receive(frame) }
                }
                if round % 2 == 0 || replica < 10 { try fleet.heartbeat(from: replica) }
            }
        }
        let snapshot = fleet.accounting.snapshot()
        let source = try #require(snapshot.sources.first)
        let books = source.reconciliation
        #expect(!books.isExact && !snapshot.reconciliation.isExact)
        #expect(snapshot.totals[.sessionsEvicted] >= 20 * 40 - 8)
        #expect(source.counts[.sessionsEvicted] == snapshot.totals[.sessionsEvicted])
        #expect(snapshot.sessionsTracked == 8)
        #expect(source.sessions == 40)
        #expect(books.framesSent > 0 && books.framesSent <= fleet.sum(\.framesSent))
        #expect(books.recordsSent <= fleet.sum(\.recordsSent))
        #expect(books.sessions <= 40 && books.sessionsBegunBefore <= 8)
        #expect(books.framesMissing <= fleet.sum(\.framesLost))
        #expect(books.recordsMissing <= fleet.sum(\.recordsLost))
        #expect(snapshot.sequenceGapFrames <= fleet.sum(\.gapFrames))
        // What was seen before the first eviction is still reported.
        #expect((books.framesMissing > 0) == (lostPercent > 0))
        #expect((snapshot.sequenceGapFrames > 0) == (lostPercent > 0))
    }

    @Test func aSourceWithOneSessionDoesNotPayForASourceWithThousands() throws {
        // The first source has a session in each round, the others one each.
        var fleet = ReplicaFleet(replicas: 31 * 62, sources: 31, sessionsMax: 64)
        let ofFirst = fleet.replicas.indices.filter { fleet.replicas[$0].source == 1 }
        let ofOthers = 1...30
        for replica in ofFirst { try fleet.receive(fleet.send(from: replica)) }
        #expect(fleet.accounting.snapshot().totals[.sessionsEvicted] == 0)
        for _ in 1...3 {
            for replica in ofOthers {
                try fleet.receive(fleet.send(from: replica))
                try fleet.heartbeat(from: replica)
            }
        }
        let snapshot = fleet.accounting.snapshot()
        #expect(snapshot.sessionsTracked <= 64)
        #expect(snapshot.totals[.sessionsEvicted] >= 62 + 30 - 64)
        for source in snapshot.sources {
            #expect((source.counts[.sessionsEvicted] > 0) == (source.source == 1))
            #expect(source.reconciliation.isExact == (source.source != 1))
            #expect(source.reconciliation.framesSent == (source.source == 1 ? 0 : 3))
        }
        #expect(!snapshot.reconciliation.isExact)
    }

    @Test func theSessionsUsedLongestAgoMakeRoom() throws {
        var fleet = ReplicaFleet(replicas: 35, sessionsMax: 32)
        var first: [ReplicaFleet.SentFrame] = []
        for replica in 0..<32 {
            first.append(fleet.send(from: replica))
            try fleet.receive(first[replica])
        }
        for replica in 0..<16 { try fleet.receive(fleet.send(from: replica)) }
        // A sixteenth of 32 sessions makes room for two new ones.
        for replica in 32..<35 { try fleet.receive(fleet.send(from: replica)) }
        #expect(fleet.accounting.snapshot().totals[.sessionsEvicted] == 4)
        for replica in Array(0..<16) + Array(20..<32) {
            #expect(try fleet.receive(first[replica]) == .duplicate, "replica \(replica)")
        }
        for replica in 16..<20 { #expect(try fleet.receive(first[replica]) == .fresh, "replica \(replica)") }
    }

    @Test func aFrameThatComesAfterTheEvictionIsTakenOffTheLosses() throws {
        var fleet = ReplicaFleet(replicas: 2, sessionsMax: 1)
        let frames = (1...5).map { _ in fleet.send(from: 0) }
        for index in [0, 1, 4] { try fleet.receive(frames[index]) }
        try fleet.heartbeat(from: 0)
        try fleet.receive(fleet.send(from: 1))
        var snapshot = fleet.accounting.snapshot()
        #expect(snapshot.sequenceGapFrames == 2)
        #expect(snapshot.reconciliation.framesMissing == 2)
        try fleet.receive(frames[3])
        snapshot = fleet.accounting.snapshot()
        #expect(snapshot.sequenceGapFrames == 1)
        #expect(snapshot.reconciliation.framesMissing == 1)
        #expect(snapshot.reconciliation.recordsMissing == UInt64(frames[2].records))
        try fleet.receive(frames[2])
        // No loss is left that these could be taken off.
        for _ in 1...3 { try fleet.receive(fleet.send(from: 0)) }
        snapshot = fleet.accounting.snapshot()
        #expect(snapshot.sequenceGapFrames == 0)
        #expect(snapshot.reconciliation.framesMissing == 0 && snapshot.reconciliation.recordsMissing == 0)
        #expect(snapshot.reconciliation.framesSent == 5)
    }

    @Test func aLateCopyOfTheFirstFrameDoesNotBeginTheSessionAnew() throws {
        var fleet = ReplicaFleet(replicas: 2, sessionsMax: 1)
        let first = fleet.send(from: 0)
        try fleet.receive(first)
        for _ in 2...5 { try fleet.receive(fleet.send(from: 0)) }
        try fleet.heartbeat(from: 0)
        try fleet.receive(fleet.send(from: 1))
        try fleet.receive(first)
        try fleet.receive(fleet.send(from: 0))
        try fleet.heartbeat(from: 0)
        let snapshot = fleet.accounting.snapshot()
        #expect(snapshot.reconciliation.framesSent == 5 && snapshot.reconciliation.framesMissing == 0)
        #expect(snapshot.sequenceGapFrames == 0)
        #expect(snapshot.sources.first?.sessions == 2)
    }

    @Test func anAccountStaysExactUntilASessionThatSeemedToHaveEndedReturns() throws {
        var fleet = ReplicaFleet(replicas: 2, sessionsMax: 1)
        try fleet.receive(fleet.send(from: 0))
        try fleet.heartbeat(from: 0)
        fleet.nowMicroseconds += SourceShard.endedSilenceMicroseconds
        try fleet.receive(fleet.send(from: 1))
        #expect(fleet.accounting.snapshot().totals[.sessionsEvicted] == 1)
        #expect(fleet.accounting.snapshot().reconciliation.isExact)
        fleet.nowMicroseconds += SourceShard.endedSilenceMicroseconds
        try fleet.receive(fleet.send(from: 0))
        #expect(fleet.accounting.snapshot().totals[.sessionsEvicted] == 2)
        #expect(!fleet.accounting.snapshot().reconciliation.isExact)
    }

    @Test func aSessionWhoseEvictionIsForgottenStillInventsNothing() throws {
        let count = 2 * SessionStore.evictedKeysMax + 10
        var fleet = ReplicaFleet(replicas: count, sessionsMax: 4)
        for replica in 0..<count { try fleet.receive(fleet.send(from: replica)) }
        try fleet.heartbeat(from: count - 1)
        try fleet.receive(fleet.send(from: 0))
        for _ in 1...9 { try fleet.receive(fleet.send(from: 0)) }
        try fleet.heartbeat(from: 0)
        // This one's heartbeat arrives before its next frame.
        _ = fleet.send(from: 1)
        try fleet.heartbeat(from: 1)
        let books = fleet.accounting.snapshot().reconciliation
        #expect(books.sessions == 1 && books.sessionsBegunBefore == 2)
        #expect(books.framesSent == 1 && books.framesMissing == 0)
    }

    @Test func aFrameThatOnlyTheRegistryKnowsShowsThatTheSessionBeganBefore() throws {
        var fleet = ReplicaFleet(replicas: 1)
        let frames = (1...3).map { _ in fleet.send(from: 0) }
        for (frame, verdict) in zip(frames, [SequenceVerdict.fresh, .duplicate, .fresh]) {
            let bytes = TestFrame(source: 1, session: 1_000, sequence: frame.sequence).bytes
            var arrival = FrameArrival(
                try FrameHeader.read(bytes.span.bytes), at: 0, inBuffer: 0, beginsDatagram: false, peer: .nobody)
            arrival.verdict = verdict
            var arrivals = [arrival]
            fleet.accounting.receive(&arrivals, nowMicroseconds: fleet.nowMicroseconds)
        }
        try fleet.heartbeat(from: 0)
        let snapshot = fleet.accounting.snapshot()
        #expect(snapshot.reconciliation.framesMissing == 0 && snapshot.reconciliation.sessionsBegunBefore == 1)
        #expect(snapshot.totals[.duplicateFrames] == 1 && snapshot.totals[.framesReceived] == 2)
    }
}
