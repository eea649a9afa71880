import FrameCodec
import Testing

@testable import Listeners

@Suite struct ConservationLedgerTests {
    private let peer = PeerAddress(ip: .loopback, port: 5_000)

    private func arrival(
        source: UInt64, session: UInt64 = 1, sequence: UInt64, records: UInt32 = 3
    ) throws -> FrameArrival {
        let frame = TestFrame(source: source, session: session, sequence: sequence, recordCount: records)
        let header = try FrameHeader.admit(frame.bytes.span.bytes)
        return FrameArrival(header, at: 0, inBuffer: 0, beginsDatagram: true, peer: peer)
    }

    @Test func literalLengthsCoverTheEnumerations() {
        #expect(LedgerCounter.allCases.count == LedgerCounts.countersMax)
        #expect((FrameError.Reason.allCases.map { Int($0.rawValue) }.max() ?? 0) + 1 == LedgerCounts.reasonsMax)
        #expect(ConnectionRefusal.allCases.count == AtomicCounts().connectionReasonsMax)
        #expect(Set(LedgerCounter.allCases.map(\.name)).count == LedgerCounts.countersMax)
        #expect(LedgerCounter.connectionsAccepted.name == "connections_accepted")
        #expect(LedgerCounter.sessionsEvicted.name == "sessions_evicted")
        #expect(LedgerCounter.recordsCommitted.name == "records_committed")
    }

    @Test func resentFramesCountAsResentAndNowhereElse() throws {
        let ledger = ConservationLedger()
        var arrivals = try [1, 2, 2, 4, 1].map { try arrival(source: 9, sequence: $0) }
        ledger.receive(&arrivals, nowMicroseconds: 42)
        #expect(arrivals.map(\.isAccepted) == [true, true, false, true, false])
        let snapshot = ledger.snapshot()
        let source = try #require(snapshot.sources.first)
        for counts in [snapshot.totals, source.counts] {
            #expect(counts[.framesReceived] == 3)
            #expect(counts[.recordsReceived] == 9)
            #expect(counts[.bytesReceived] == 3 * 56)
            #expect(counts[.duplicateFrames] == 2)
        }
        #expect(snapshot.sequenceGapFrames == 1)
        #expect(source.sequenceGapFrames == 1)
        #expect(source.lastPeer == peer)
        #expect(source.lastSeenMicroseconds == 42)
    }

    @Test func theEquationHoldsWhenEveryRecordHasItsPlace() throws {
        let ledger = ConservationLedger()
        var arrivals = try (1...8).map { try arrival(source: 1, sequence: $0, records: 10) }
        ledger.receive(&arrivals, nowMicroseconds: 0)
        #expect(ledger.snapshot().recordsInFlight == 80)
        ledger.committed(source: 1, records: 30)
        ledger.spilled(source: 1, records: 10)
        ledger.spillHolds(bytes: 700, records: 10)
        ledger.deadLettered(source: 1, records: 1)
        ledger.unknownKind(source: 1, records: 9)
        ledger.ringFull(source: 1, frames: 1, records: 10)
        ledger.quotaDropped(source: 1, frames: 1, records: 10)
        ledger.refusedOnDecoding(.danglingIndex, source: 1, records: 10)
        let snapshot = ledger.snapshot()
        #expect(snapshot.recordsInFlight == 0)
        #expect(snapshot.totals[refused: .danglingIndex] == 1)
        #expect(snapshot.totals.framesRefused == 1)
        var counts = snapshot.totals
        counts[.datagramsReceived] = 8
        #expect(snapshot.sources.first?.counts == counts)
    }

    @Test func sourcesBeyondTheCapAreTakenAndCountedInTotal() throws {
        var limits = ConservationLedger.Limits()
        limits.sourcesMax = 3
        let ledger = ConservationLedger(limits: limits)
        var arrivals = try (1...10).map { try arrival(source: $0, sequence: 1) }
        ledger.receive(&arrivals, nowMicroseconds: 0)
        ledger.committed(source: 10, records: 3)
        #expect(arrivals.allSatisfy { $0.isAccepted })
        let snapshot = ledger.snapshot()
        #expect(snapshot.sources.map(\.source) == [1, 2, 3])
        #expect(snapshot.totals[.framesReceived] == 10)
        #expect(snapshot.totals[.sourcesUntrackedFrames] == 7)
        #expect(snapshot.totals[.recordsCommitted] == 3)
    }

    @Test func theOldestSessionMakesRoomAndItsGapStays() throws {
        var limits = ConservationLedger.Limits()
        limits.sessionsMax = 2
        let ledger = ConservationLedger(limits: limits)
        for session in 1...5 as ClosedRange<UInt64> {
            var arrivals = try [1, 3, 3].map { try arrival(source: 1, session: session, sequence: $0) }
            ledger.receive(&arrivals, nowMicroseconds: 0)
        }
        let source = try #require(ledger.snapshot().sources.first)
        #expect(source.sessions == 5)
        #expect(source.sequenceGapFrames == 5)
        #expect(source.counts[.duplicateFrames] == 5)
        #expect(source.counts[.sessionsEvicted] == 3)
    }

    @Test func theBudgetOfSessionsHoldsWhenManyThreadsOpenThem() async throws {
        var limits = ConservationLedger.Limits()
        limits.sessionsMax = 40
        let ledger = ConservationLedger(limits: limits)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<8 as Range<UInt64> {
                group.addTask {
                    for session in 1...500 as ClosedRange<UInt64> {
                        var arrivals = [
                            try arrival(source: session % 37, session: thread * 1_000 + session, sequence: 1)
                        ]
                        ledger.receive(&arrivals, nowMicroseconds: 0)
                    }
                }
            }
            try await group.waitForAll()
        }
        let snapshot = ledger.snapshot()
        // One for each shard may be above it.
        #expect(snapshot.sessionsTracked <= 40 + 16)
        #expect(snapshot.totals[.sessionsEvicted] == 4_000 - UInt64(snapshot.sessionsTracked))
        #expect(snapshot.sources.reduce(0) { $0 + $1.sessions } == 4_000)
        #expect(snapshot.sequenceGapFrames == 0)
    }

    @Test func countsFromManyThreadsAddUp() async throws {
        let ledger = ConservationLedger()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for session in 1...8 as ClosedRange<UInt64> {
                group.addTask {
                    for sequence in 1...2_000 as ClosedRange<UInt64> {
                        var arrivals = [try arrival(source: sequence % 5, session: session, sequence: sequence)]
                        ledger.receive(&arrivals, nowMicroseconds: 0)
                        ledger.committed(source: sequence % 5, records: 3)
                    }
                }
            }
            try await group.waitForAll()
        }
        let snapshot = ledger.snapshot()
        #expect(snapshot.totals[.framesReceived] == 16_000)
        #expect(snapshot.recordsInFlight == 0)
        #expect(snapshot.sources.reduce(0) { $0 + $1.counts[.recordsCommitted] } == 48_000)
    }
}
