// What becomes of batches, in the order in which an operator would ask.

import FrameCodec
import Testing

@testable import Delivery

struct DeliveryPlanTests {
    private func plan(lanes: Int = 1, journal: Bool = false, hasSpill: Bool = true) -> DeliveryPlan {
        DeliveryPlan(
            limits: DeliveryPlan.Limits(
                slots: 6, lanes: lanes, waitingMax: 1, isJournal: journal, hasSpill: hasSpill))
    }

    private func summary(_ sequence: Int64, records: Int = 10) -> BatchSummary {
        BatchSummary(
            identity: BatchIdentity(epoch: 1, sequence: sequence), recordCount: records, frameCount: 1, byteCount: 100,
            openedMicroseconds: sequence)
    }

    private func spilled(_ sequence: Int64, segment: UInt32) -> SpilledBatch {
        SpilledBatch(
            summary: summary(sequence), segment: SegmentName(epoch: 9, sequence: segment), headerOffset: 0,
            frameOffset: 100, storedBytes: 50, storedChecksum: 0)
    }

    @Test func whatTheLanesCannotTakeGoesToTheSpillAndAFreeLaneTakesTheNext() throws {
        var plan = plan()
        for sequence in 1...3 as ClosedRange<Int64> {
            guard let slot = plan.openSlot() else { throw Missing() }
            plan.close(slot, summary(sequence))
        }
        // One waits for the lane, the others go to the spill.
        #expect(plan.places.count { $0 == .waiting } == 1)
        #expect(plan.places.count { $0 == .toSpill } == 2)
        guard case .live(_, let taken)? = plan.work(forLane: 0, now: 0) else { throw Missing() }
        #expect(taken.identity.sequence == 1)
    }

    @Test func aBatchWhoseCommitIsUnknownGoesToTheSpillUnderItsIdentity() throws {
        var plan = plan()
        guard let slot = plan.openSlot() else { throw Missing() }
        plan.close(slot, summary(1))
        _ = plan.work(forLane: 0, now: 0)
        plan.failed(lane: 0, isLaneLost: true, now: 0)
        let slots = plan.spillWork(max: 4, now: 0)
        #expect(slots == [slot])
        #expect(plan.summary(slot).identity == BatchIdentity(epoch: 1, sequence: 1))
    }

    @Test func aLaneIsFreeWhenItWouldTakeALiveBatchAtOnce() throws {
        var plan = plan(lanes: 2)
        // Nobody knows yet whether they reach the database.
        #expect(!plan.hasFreeLane)
        plan.laneConnected(0)
        #expect(plan.hasFreeLane)
        guard let slot = plan.openSlot() else { throw Missing() }
        plan.close(slot, summary(1))
        // The one that waits is for this lane.
        #expect(!plan.hasFreeLane)
        plan.laneConnected(1)
        #expect(plan.hasFreeLane)
        #expect(plan.work(forLane: 0, now: 0) != nil)
        #expect(plan.hasFreeLane)
        plan.laneLost(1)
        #expect(!plan.hasFreeLane)
        _ = plan.stored(lane: 0)
        #expect(plan.hasFreeLane)
    }

    @Test func noLaneIsFreeWhileThereIsSomethingToReplayOrWhenEverythingIsSpilledFirst() {
        var plan = plan()
        plan.recovered(SegmentName(epoch: 9, sequence: 1), batches: [spilled(1, segment: 1)], keepInQuarantine: false)
        plan.laneConnected(0)
        #expect(!plan.hasFreeLane)
        _ = plan.work(forLane: 0, now: 0)
        _ = plan.stored(lane: 0)
        #expect(plan.hasFreeLane)
        var journal = self.plan(journal: true)
        journal.laneConnected(0)
        #expect(!journal.hasFreeLane)
    }

    @Test func anotherCopyIsReadWhenTheFirstIsDamagedAndBothSegmentsStayUntilThen() throws {
        var plan = plan()
        let (first, second) = (SegmentName(epoch: 9, sequence: 1), SegmentName(epoch: 9, sequence: 2))
        plan.recovered(first, batches: [spilled(1, segment: 1)], keepInQuarantine: false)
        plan.recovered(second, batches: [], copies: [spilled(1, segment: 2)], keepInQuarantine: false)
        #expect(plan.spillRecords == 10)
        #expect(plan.leaseRemovals(now: 0).isEmpty)
        _ = plan.work(forLane: 0, now: 0)
        #expect(plan.unreadable(lane: 0, .damaged, now: 0) == nil)
        #expect(plan.spillRecords == 10)
        #expect(plan.leaseRemovals(now: 0) == [SegmentRemoval(name: first, keepInQuarantine: true)])
        guard case .replay(let copy)? = plan.work(forLane: 0, now: 0) else { throw Missing() }
        #expect(copy.segment == second)
        _ = plan.stored(lane: 0)
        #expect(plan.spillRecords == 0)
        #expect(plan.leaseRemovals(now: 0).map(\.name) == [second])
    }

    @Test func aStoredBatchLetsGoOfItsOtherCopies() {
        var plan = plan()
        plan.recovered(SegmentName(epoch: 9, sequence: 1), batches: [spilled(1, segment: 1)], keepInQuarantine: false)
        plan.recovered(
            SegmentName(epoch: 9, sequence: 2), batches: [], copies: [spilled(1, segment: 2)], keepInQuarantine: false)
        _ = plan.work(forLane: 0, now: 0)
        _ = plan.stored(lane: 0)
        #expect(plan.leaseRemovals(now: 0).count == 2)
        #expect(plan.spillBatches == 0)
    }

    @Test(arguments: [ReadFailure.passing, .diskError])
    func aBatchThatCannotBeReadNowIsTriedAgainLongBeforeItCountsAsLost(_ failure: ReadFailure) throws {
        var plan = plan()
        plan.recovered(SegmentName(epoch: 9, sequence: 1), batches: [spilled(1, segment: 1)], keepInQuarantine: false)
        var now: UInt64 = 0
        var attempts = 0
        while attempts < 50 {
            now += DeliveryPlan.deferLastNanoseconds
            guard plan.work(forLane: 0, now: now) != nil else { throw Missing() }
            attempts += 1
            if plan.unreadable(lane: 0, failure, now: now) != nil { break }
            // Not at once.
            #expect(plan.work(forLane: 0, now: now) == nil)
        }
        #expect(attempts == (failure == .diskError ? DeliveryPlan.readAttemptsMax : 50))
        #expect(plan.spillRecords == (failure == .diskError ? 0 : 10))
    }

    @Test func aLiveBatchThatFailsOnItsOwnAccountLetsOthersPass() throws {
        var plan = plan(hasSpill: false)
        guard let first = plan.openSlot() else { throw Missing() }
        plan.close(first, summary(1))
        _ = plan.work(forLane: 0, now: 0)
        plan.failed(lane: 0, isLaneLost: false, now: 0)
        // Not at once again.
        #expect(plan.work(forLane: 0, now: 1) == nil)
        guard let second = plan.openSlot() else { throw Missing() }
        plan.close(second, summary(2))
        guard case .live(second, _)? = plan.work(forLane: 0, now: 1) else { throw Missing() }
        _ = plan.stored(lane: 0)
        guard case .live(first, _)? = plan.work(forLane: 0, now: DeliveryPlan.deferLiveNanoseconds) else {
            throw Missing()
        }
    }

    @Test func aBlockedSpillIsOfferedABatchSoThatItIsNoticedWhenItTakesThemAgain() throws {
        var plan = plan()
        for sequence in 1...2 as ClosedRange<Int64> {
            guard let slot = plan.openSlot() else { throw Missing() }
            plan.close(slot, summary(sequence))
        }
        plan.spillFailed(plan.spillWork(max: 4, now: 0), reason: "full", retryAt: 10)
        // The lane takes both: nothing is left that the spill could be tried with.
        for _ in 0..<2 {
            #expect(plan.work(forLane: 0, now: 0) != nil)
            _ = plan.stored(lane: 0)
        }
        for sequence in 3...4 as ClosedRange<Int64> {
            guard let slot = plan.openSlot() else { throw Missing() }
            plan.close(slot, summary(sequence))
        }
        #expect(plan.spillWork(max: 4, now: 20).count == 1)
    }

    @Test func whatABatchSaysOfItsSessionsIsNotKeptInMemory() {
        var plan = plan()
        var batch = spilled(1, segment: 1)
        batch = SpilledBatch(
            summary: BatchSummary(
                identity: batch.summary.identity, recordCount: 10, frameCount: 1, byteCount: 100, openedMicroseconds: 1,
                sessions: [SessionFrames(key: SessionKey(source: 1, session: 1), sequences: SequenceRanges([1..<9]))]),
            segment: batch.segment, headerOffset: 0, frameOffset: 100, storedBytes: 50, storedChecksum: 0)
        plan.recovered(batch.segment, batches: [batch], keepInQuarantine: false)
        #expect(plan.work(forLane: 0, now: 0) == .replay(batch.withoutSessions))
    }

    @Test func replayTakesItsShareBesideLiveWork() throws {
        var plan = plan()
        for sequence in 1...40 as ClosedRange<Int64> {
            plan.recovered(
                SegmentName(epoch: 9, sequence: UInt32(sequence)),
                batches: [spilled(sequence, segment: UInt32(sequence))], keepInQuarantine: false)
        }
        var live = 0
        var replayed: [Int64] = []
        for sequence in 1_000...1_039 as ClosedRange<Int64> {
            // A lane that always has live work waiting.
            if !plan.places.contains(.waiting) {
                guard let slot = plan.openSlot() else { throw Missing() }
                plan.close(slot, summary(sequence))
            }
            switch plan.work(forLane: 0, now: 0) {
            case .live?: live += 1
            case .replay(let batch)?: replayed.append(batch.summary.identity.sequence)
            case nil: throw Missing()
            }
            _ = plan.stored(lane: 0)
        }
        #expect((18...22).contains(live))
        // Oldest first.
        #expect(replayed == replayed.sorted())
    }

    // MARK: Leases

    @Test func aRemovalStaysInThePlanUntilItIsConfirmed() {
        var plan = plan()
        let names = (1...3).map { SegmentName(epoch: 9, sequence: $0) }
        for name in names { plan.recovered(name, batches: [], keepInQuarantine: false) }
        #expect(plan.leaseRemovals(now: 0).map(\.name) == names)
        // The receiver has them: they are not given twice at the same time.
        #expect(plan.leaseRemovals(now: 0).isEmpty)
        plan.removed(names[0])
        plan.removalFailed(names[1], now: 0)
        #expect(plan.leaseRemovals(now: DeliveryPlan.removalRetryNanoseconds - 1).isEmpty)
        #expect(plan.leaseRemovals(now: DeliveryPlan.removalRetryNanoseconds).map(\.name) == [names[1]])
        // The third was never answered for.
        #expect(plan.leaseRemovals(now: DeliveryPlan.removalLeaseNanoseconds).map(\.name) == [names[2]])
        plan.removed(names[1])
        plan.removed(names[2])
        #expect(plan.leaseRemovals(now: .max).isEmpty)
    }

    @Test func aThreadThatAsksInsteadOfAnsweringGetsItsWorkAgain() throws {
        var plan = plan()
        for sequence in 1...3 as ClosedRange<Int64> {
            guard let slot = plan.openSlot() else { throw Missing() }
            plan.close(slot, summary(sequence))
        }
        let work = plan.work(forLane: 0, now: 0)
        #expect(work != nil && plan.work(forLane: 0, now: 0) == work)
        let slots = plan.spillWork(max: 1, now: 0)
        #expect(slots.count == 1 && plan.spillWork(max: 4, now: 0) == slots)
        plan.spilled([SpilledSlot(slot: slots[0], batch: spilled(2, segment: 1))])
        #expect(plan.spillWork(max: 4, now: 0) != slots)
    }

    @Test func batchesThatFailAgainAndAgainDoNotKeepGoodOnesFromBeingReplayed() throws {
        var plan = plan()
        for sequence in 1...40 as ClosedRange<Int64> {
            plan.recovered(
                SegmentName(epoch: 9, sequence: UInt32(sequence)),
                batches: [spilled(sequence, segment: UInt32(sequence))], keepInQuarantine: false)
        }
        // The first twenty are poisoned. When the lane has tried them all, their time has come again.
        var now: UInt64 = 0
        var good = 0
        for _ in 0..<90 {
            now += DeliveryPlan.deferLastNanoseconds / 20
            guard case .replay(let batch)? = plan.work(forLane: 0, now: now) else { throw Missing() }
            if batch.summary.identity.sequence <= 20 {
                plan.failed(lane: 0, isLaneLost: false, now: now)
            } else {
                good += 1
                _ = plan.stored(lane: 0)
            }
        }
        #expect(good == 20)
    }

    @Test func whatIsAbandonedLeavesTheBatchAloneThatIsBeingFilled() throws {
        var plan = plan()
        guard let closed = plan.openSlot() else { throw Missing() }
        plan.close(closed, summary(1))
        guard let open = plan.openSlot() else { throw Missing() }
        let lost = plan.abandonAll()
        #expect(lost.map(\.slot) == [closed] && lost.map(\.summary.identity.sequence) == [1])
        #expect(plan.places[open] == .open)
    }

    private struct Missing: Error {}
}
