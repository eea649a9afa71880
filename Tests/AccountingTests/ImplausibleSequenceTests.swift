// Numbers that a session cannot have reached are counted as such and spoil no other counter.

import FrameCodec
import TestSupport
import Testing

@testable import Accounting

@Suite struct ImplausibleSequenceTests {
    private let accounting = Accounting(startedMicroseconds: 0)
    /// The collector has run for a while.
    private let start: Int64 = 100_000_000

    private func receive(
        _ sequences: [UInt64], session: UInt64 = 1, records: UInt32 = 1, after microseconds: Int64 = 0,
        judged: SequenceVerdict? = nil
    ) throws {
        var arrivals = try sequences.map { sequence in
            let bytes = TestFrame(session: session, sequence: sequence, recordCount: records).bytes
            var arrival = FrameArrival(
                try FrameHeader.read(bytes.span.bytes), at: 0, inBuffer: 0, beginsDatagram: true, peer: .nobody)
            if let judged { arrival.verdict = judged }
            return arrival
        }
        accounting.receive(&arrivals, nowMicroseconds: start + microseconds)
        let areAccepted = arrivals.allSatisfy(\.isAccepted)
        #expect(areAccepted, "a frame with an implausible number is stored as any other")
    }

    private func heartbeat(
        frames: UInt64, records: UInt64, dropped: UInt64 = 0, session: UInt64 = 1, after microseconds: Int64 = 0
    ) throws {
        let frame = HeartbeatFrame(
            framesSent: frames, recordsSent: records, bytesSent: 0, recordsDropped: dropped, name: "test"
        ).encoded(FrameIdentity(source: 7, session: session, sequence: frames))
        accounting.heartbeat(
            frame.span.bytes, try FrameHeader.read(frame.span.bytes), peer: .nobody,
            nowMicroseconds: start + microseconds)
    }

    private var gaps: UInt64 { accounting.snapshot().sequenceGapFrames }
    private var implausible: UInt64 { accounting.snapshot().totals[.implausibleSequences] }
    private var reconciliation: Reconciliation { accounting.snapshot().reconciliation }

    @Test(arguments: [UInt64.max, UInt64.max - 1, 1 << 63, 1 << 53, 1 << 40, 1 << 32] as [UInt64])
    func oneForgedFrameChangesNoOtherCounter(_ forged: UInt64) throws {
        try receive([1, 2, 4])
        try receive([forged])
        #expect(gaps == 1)
        #expect(implausible == 1)
        // Losses are counted as before.
        try receive([5, 9])
        #expect(gaps == 4)
        try receive([3])
        #expect(gaps == 3)
        let snapshot = accounting.snapshot()
        #expect(snapshot.totals[.framesReceived] == 7 && snapshot.totals[.duplicateFrames] == 0)
        #expect(snapshot.sources.first?.counts[.implausibleSequences] == 1)
        #expect(snapshot.sources.first?.sequenceGapFrames == 3)
        // The forged frame does not stand for one that is missing.
        try heartbeat(frames: 9, records: 9)
        #expect(reconciliation.framesMissing == 3 && reconciliation.recordsMissing == 3)
    }

    @Test(arguments: [UInt64.max, (1 << 53) + 1] as [UInt64])
    func aSessionMayBeginWithAForgedFrame(_ forged: UInt64) throws {
        try receive([forged])
        try receive([1, 2, 4])
        try heartbeat(frames: 4, records: 4)
        #expect(implausible == 1)
        #expect(gaps == 1)
        #expect(reconciliation.framesMissing == 1 && reconciliation.sessions == 1)
    }

    @Test func aForgedNumberFarBeforeTheOthersChangesNothingEither() throws {
        let first: UInt64 = 5_000_000_000
        try receive([first, first + 1])
        try receive([1])
        #expect(gaps == 0 && implausible == 1)
        try receive([first + 3])
        #expect(gaps == 1)
    }

    @Test func aFirstFrameThatIsPlausibleAndForgedIsLeftBehind() throws {
        try receive([1 << 50])
        try receive([1, 2, 3, 5], records: 2)
        #expect(gaps == 1)
        #expect(implausible == 1)
    }

    @Test func aSessionThatGoesOnElsewhereIsFollowedFromItsSecondFrameThere() throws {
        try receive([1, 3], records: 2)
        let far: UInt64 = 1 << 45
        try receive([far, far + 1, far + 4], records: 2)
        #expect(implausible == 1)
        #expect(gaps == 1 + 2)
        try receive([far + 2, far + 3], records: 2)
        #expect(gaps == 1)
        // All but one of the frames count.
        try heartbeat(frames: 8, records: 16)
        #expect(reconciliation.framesMissing == 1 && reconciliation.recordsMissing == 2)
    }

    @Test func twoForgedFramesDoNotHideWhatComesAfterThem() throws {
        try receive([1, 2, 4])
        try receive([1 << 45, (1 << 45) + 1])
        // The true session is followed again.
        try receive([5, 6, 8])
        #expect(gaps == 2)
        #expect(implausible == 2)
    }

    @Test func aLongSilenceMakesALargeLossPlausible() throws {
        try receive([1])
        // A minute without the network at a million frames a second.
        try receive([60_000_002], after: 60_000_000)
        #expect(gaps == 60_000_000 && implausible == 0)
        // The same at once is not.
        try receive([1], session: 2, after: 60_000_000)
        try receive([60_000_002], session: 2, after: 60_000_001)
        #expect(gaps == 60_000_000 && implausible == 1)
    }

    @Test func overAStreamTheVerdictStaysThatOfTheRegistry() throws {
        try receive([1, 2], judged: .fresh)
        try receive([1 << 60, 3], judged: .fresh)
        #expect(gaps == 0 && implausible == 1)
        #expect(accounting.snapshot().totals[.framesReceived] == 4)
    }

    @Test(
        arguments: [
            (.max, .max, .max), (.max, 0, 0), (2, .max, 0), (2, 49_153, 0), (2, 2, .max), (1 << 40, 1 << 40, 0),
            (2_000_000, 2_000_000, 0),
        ] as [(UInt64, UInt64, UInt64)])
    func impossibleTotalsAreLeftOut(_ frames: UInt64, _ records: UInt64, _ dropped: UInt64) throws {
        try receive([1, 2])
        try heartbeat(frames: 2, records: 2, dropped: 1)
        let before = reconciliation
        #expect(before.sessions == 1 && before.recordsDroppedByClient == 1)
        try heartbeat(frames: frames, records: records, dropped: dropped, after: 1_000)
        #expect(reconciliation == before)
        #expect(implausible == 1)
        #expect(accounting.snapshot().sources.first?.counts[.implausibleSequences] == 1)
        // The next one counts.
        try heartbeat(frames: 3, records: 4, dropped: 2, after: 2_000)
        #expect(reconciliation.framesMissing == 1 && reconciliation.recordsMissing == 2)
        #expect(reconciliation.recordsDroppedByClient == 2 && implausible == 1)
    }

    @Test func impossibleTotalsOfANewSessionDoNotBeginItsAccount() throws {
        try heartbeat(frames: .max, records: .max)
        #expect(implausible == 1)
        #expect(reconciliation == Reconciliation())
        try receive([1])
        try heartbeat(frames: 2, records: 2)
        #expect(reconciliation.framesMissing == 1)
    }

    /// A session that another collector has served says so by its totals: they are no losses of this one.
    @Test func totalsOfASessionThatBeganElsewhereAreNoLosses() throws {
        try heartbeat(frames: 90_000_000, records: 90_000_000)
        try receive([90_000_001])
        try heartbeat(frames: 90_000_001, records: 90_000_001)
        #expect(reconciliation.framesMissing == 0 && reconciliation.sessionsBegunBefore == 1)
        #expect(implausible == 0)
    }

    @Test func theSumsOfManySessionsStayFarFromTheirEnd() throws {
        for session in 1...2_000 as ClosedRange<UInt64> {
            try receive([1, .max - session], session: session)
            try heartbeat(frames: .max - session, records: .max, session: session)
            try heartbeat(frames: 1, records: 1, session: session)
        }
        #expect(gaps == 0 && reconciliation.framesMissing == 0)
        #expect(implausible == 4_000)
    }

    /// The budget of memory that the header of `SessionStore` names.
    @Test func anAccountHasItsSize() {
        #expect(MemoryLayout<SessionAccount>.stride == 224)
        #expect(MemoryLayout<FrameArrival>.stride == 80)
    }
}
