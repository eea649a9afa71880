import FrameCodec
import LinuxSystem
import TestSupport
import Testing

@testable import Accounting

@Suite struct AccountingTests {
    private let peer = PeerAddress(ip: .loopback, port: 5_000)

    private func arrival(
        source: UInt64, session: UInt64 = 1, sequence: UInt64, records: UInt32 = 3
    ) throws -> FrameArrival {
        let frame = TestFrame(source: source, session: session, sequence: sequence, recordCount: records)
        let header = try FrameHeader.admit(frame.bytes.span.bytes)
        return FrameArrival(header, at: 0, inBuffer: 0, beginsDatagram: true, peer: peer)
    }

    @Test func literalLengthsCoverTheEnumerations() {
        #expect(Counter.allCases.map(\.id) == Array(0..<Counter.allCases.count))
        #expect(ConnectionRefusal.allCases.map(\.id) == Array(0..<ConnectionRefusal.allCases.count))
        #expect(Counter.allCases.count <= Counts.countersMax)
        #expect((FrameError.Reason.allCases.map { Int($0.rawValue) }.max() ?? 0) + 1 <= Counts.reasonsMax)
        #expect(ConnectionRefusal.allCases.count <= AtomicCounts().connectionReasonsMax)
        #expect(Set(Counter.allCases.map(\.name)).count == Counter.allCases.count)
        #expect(Counter.connectionsAccepted.name == "connections_accepted")
        #expect(Counter.sessionsEvicted.name == "sessions_evicted")
        #expect(Counter.recordsCommitted.name == "records_committed")
    }

    @Test func resentFramesCountAsResentAndNowhereElse() throws {
        let accounting = Accounting()
        var arrivals = try [1, 2, 2, 4, 1].map { try arrival(source: 9, sequence: $0) }
        accounting.receive(&arrivals, nowMicroseconds: 42)
        #expect(arrivals.map(\.isAccepted) == [true, true, false, true, false])
        let snapshot = accounting.snapshot()
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
        let accounting = Accounting()
        var arrivals = try (1...8).map { try arrival(source: 1, sequence: $0, records: 10) }
        accounting.receive(&arrivals, nowMicroseconds: 0)
        #expect(accounting.snapshot().recordsInFlight == 80)
        accounting.count(30, as: .recordsCommitted, source: 1)
        accounting.count(10, as: .recordsSpilled, source: 1)
        accounting.spillHolds(bytes: 700, records: 10)
        accounting.count(1, as: .recordsDeadLettered, source: 1)
        accounting.count(9, as: .recordsUnknownKind, source: 1)
        accounting.ringFull(source: 1, frames: 1, records: 10)
        accounting.count(10, as: .quotaDrops, source: 1)
        accounting.refusedOnDecoding(.danglingIndex, source: 1, records: 10)
        let snapshot = accounting.snapshot()
        #expect(snapshot.recordsInFlight == 0)
        #expect(snapshot.totals[refused: .danglingIndex] == 1)
        #expect(snapshot.totals.framesRefused == 1)
        var counts = snapshot.totals
        counts[.datagramsReceived] = 8
        #expect(snapshot.sources.first?.counts == counts)
    }

    @Test func sourcesBeyondTheCapAreTakenAndCountedInTotal() throws {
        var limits = Accounting.Limits()
        limits.sourcesMax = 3
        let accounting = Accounting(limits: limits)
        var arrivals = try (1...10).map { try arrival(source: $0, sequence: 1) }
        accounting.receive(&arrivals, nowMicroseconds: 0)
        accounting.count(3, as: .recordsCommitted, source: 10)
        #expect(arrivals.allSatisfy { $0.isAccepted })
        let snapshot = accounting.snapshot()
        #expect(snapshot.sources.map(\.source) == [1, 2, 3])
        #expect(snapshot.totals[.framesReceived] == 10)
        #expect(snapshot.totals[.sourcesUntrackedFrames] == 7)
        #expect(snapshot.totals[.recordsCommitted] == 3)
    }

    @Test func theOldestSessionMakesRoomAndItsGapStays() throws {
        var limits = Accounting.Limits()
        limits.sessionsMax = 2
        let accounting = Accounting(limits: limits)
        for session in 1...5 as ClosedRange<UInt64> {
            var arrivals = try [1, 3, 3].map { try arrival(source: 1, session: session, sequence: $0) }
            accounting.receive(&arrivals, nowMicroseconds: 0)
        }
        let source = try #require(accounting.snapshot().sources.first)
        #expect(source.sessions == 5)
        #expect(source.sequenceGapFrames == 5)
        #expect(source.counts[.duplicateFrames] == 5)
        #expect(source.counts[.sessionsEvicted] == 3)
    }

    @Test func theBudgetOfSessionsHoldsWhenManyThreadsOpenThem() async throws {
        var limits = Accounting.Limits()
        limits.sessionsMax = 40
        let accounting = Accounting(limits: limits)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<8 as Range<UInt64> {
                group.addTask {
                    for session in 1...500 as ClosedRange<UInt64> {
                        var arrivals = [
                            try arrival(source: session % 37, session: thread * 1_000 + session, sequence: 1)
                        ]
                        accounting.receive(&arrivals, nowMicroseconds: 0)
                    }
                }
            }
            try await group.waitForAll()
        }
        let snapshot = accounting.snapshot()
        // One for each shard may be above it.
        #expect(snapshot.sessionsTracked <= 40 + 16)
        #expect(snapshot.totals[.sessionsEvicted] == 4_000 - UInt64(snapshot.sessionsTracked))
        #expect(snapshot.sources.reduce(0) { $0 + $1.sessions } == 4_000)
        #expect(snapshot.sequenceGapFrames == 0)
    }

    @Test func countsFromManyThreadsAddUp() async throws {
        let accounting = Accounting()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for session in 1...8 as ClosedRange<UInt64> {
                group.addTask {
                    for sequence in 1...2_000 as ClosedRange<UInt64> {
                        var arrivals = [try arrival(source: sequence % 5, session: session, sequence: sequence)]
                        accounting.receive(&arrivals, nowMicroseconds: 0)
                        accounting.count(3, as: .recordsCommitted, source: sequence % 5)
                    }
                }
            }
            try await group.waitForAll()
        }
        let snapshot = accounting.snapshot()
        #expect(snapshot.totals[.framesReceived] == 16_000)
        #expect(snapshot.recordsInFlight == 0)
        #expect(snapshot.sources.reduce(0) { $0 + $1.counts[.recordsCommitted] } == 48_000)
    }
}
