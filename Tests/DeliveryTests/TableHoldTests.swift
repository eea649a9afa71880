// What waits for a table that accepts nothing, and when the table is tried.

import FrameCodec
import MetricKinds
import Testing

@testable import Delivery

struct TableHoldTests {
    private static let second: UInt64 = 1_000_000_000

    private func plan(lanes: Int = 2, batches: ClosedRange<Int64>) -> DeliveryPlan {
        var plan = DeliveryPlan(limits: DeliveryPlan.Limits(slots: 4, lanes: lanes, waitingMax: 1))
        for lane in 0..<lanes { plan.laneConnected(lane) }
        plan.recovered(
            SegmentName(epoch: 9, sequence: 1),
            batches: batches.map { sequence in
                SpilledBatch(
                    summary: BatchSummary(
                        identity: BatchIdentity(epoch: 1, sequence: sequence), recordCount: 10, frameCount: 1,
                        byteCount: 100, openedMicroseconds: sequence), segment: SegmentName(epoch: 9, sequence: 1),
                    headerOffset: Int(sequence) * 200, frameOffset: Int(sequence) * 200 + 100, storedBytes: 50,
                    storedChecksum: 0)
            }, keepInQuarantine: false)
        return plan
    }

    /// Lane 0 stores all batches but for their three routing records.
    private func holdRouting(_ plan: inout DeliveryPlan, batches: Int, now: UInt64) {
        plan.hold(.routing, reason: "no", now: now)
        for _ in 0..<batches {
            #expect(plan.work(forLane: 0, now: now) != nil)
            #expect(plan.heldKinds(among: .all, lane: 0, now: now) == KindSet(.routing))
            plan.storedInPart(lane: 0, StoredPart(kinds: KindSet(.memory), waiting: [.routing: 3]), now: now)
        }
    }

    private func sequence(_ work: LaneWork?) -> Int64? {
        guard case .replay(let batch)? = work else { return nil }
        return batch.summary.identity.sequence
    }

    @Test func batchesWaitUntilOneTrialSucceedsAndKeepTheirRest() {
        var plan = plan(batches: 1...3)
        holdRouting(&plan, batches: 3, now: 0)
        #expect(plan.spillRecords == 9 && plan.recordsHeld == [.routing: 9] && plan.spillBatches == 3)
        #expect(plan.oldestSpilledMicroseconds == 1)
        // Before its time nobody tries.
        #expect(plan.work(forLane: 0, now: Self.second - 1) == nil)
        // Then one lane does, and the others do not.
        let trial = plan.work(forLane: 0, now: Self.second)
        #expect(sequence(trial) == 1)
        #expect(plan.work(forLane: 1, now: Self.second) == nil)
        #expect(plan.heldKinds(among: .all, lane: 0, now: Self.second) == [])
        #expect(plan.heldKinds(among: .all, lane: 1, now: Self.second) == KindSet(.routing))
        plan.accepted(KindSet(.routing))
        _ = plan.stored(lane: 0)
        #expect(plan.holds.isEmpty && plan.spillRecords == 6)
        for expected in [2, 3] as [Int64] {
            #expect(sequence(plan.work(forLane: 1, now: Self.second)) == expected)
            _ = plan.stored(lane: 1)
        }
        #expect(plan.spillRecords == 0 && plan.spillBatches == 0 && plan.recordsHeld.values.allSatisfy { $0 == 0 })
        plan.segmentEnded(SegmentName(epoch: 9, sequence: 1))
        #expect(plan.leaseRemovals(now: 0).count == 1)
    }

    @Test func whatWaitedForATableGoesBeforeWhatCameLater() {
        var plan = plan(batches: 1...4)
        holdRouting(&plan, batches: 2, now: 0)
        #expect(sequence(plan.work(forLane: 0, now: Self.second)) == 1, "the trial")
        plan.accepted(KindSet(.routing))
        _ = plan.stored(lane: 0)
        #expect(plan.oldestSpilledMicroseconds == 2)
        for expected in [2, 3, 4] as [Int64] {
            #expect(sequence(plan.work(forLane: 1, now: Self.second)) == expected)
            _ = plan.stored(lane: 1)
        }
    }

    @Test func trialsBecomeRarerAndTakeTheOldestAndTheNewestInTurns() throws {
        var plan = plan(batches: 1...3)
        holdRouting(&plan, batches: 3, now: 0)
        var now = Self.second
        var waits: [UInt64] = []
        var tried: [Int64?] = []
        for _ in 0..<7 {
            tried.append(sequence(plan.work(forLane: 0, now: now)))
            plan.hold(.routing, reason: "no", now: now)
            plan.storedInPart(lane: 0, StoredPart(kinds: KindSet(.memory), waiting: [.routing: 3]), now: now)
            let due = try #require(plan.holds[.routing]).retryAt
            waits.append((due - now) / Self.second)
            now = due
        }
        #expect(waits == [2, 4, 8, 16, 16, 16, 16])
        #expect(tried == [1, 1, 2, 2, 3, 3, 1])
    }

    /// Whatever comes of a trial that settles nothing, the next one is a second away.
    @Test func aTrialWhoseLaneIsLostIsRepeatedAndNotAtOnce() {
        var plan = plan(batches: 1...2)
        holdRouting(&plan, batches: 2, now: 0)
        #expect(plan.work(forLane: 0, now: Self.second) != nil)
        plan.failed(lane: 0, isLaneLost: false, now: Self.second)
        #expect(plan.work(forLane: 1, now: Self.second) == nil)
        #expect(plan.heldKinds(among: .all, lane: 1, now: Self.second) == KindSet(.routing))
        #expect(sequence(plan.work(forLane: 1, now: 3 * Self.second)) == 2)
    }

    /// Another lane has released the table while this one left its rows out.
    @Test func aBatchWhoseTableWasReleasedMeanwhileDoesNotWait() {
        var plan = plan(batches: 1...1)
        plan.hold(.routing, reason: "no", now: 0)
        #expect(plan.work(forLane: 0, now: 0) != nil)
        #expect(plan.heldKinds(among: .all, lane: 0, now: 0) == KindSet(.routing))
        plan.accepted(KindSet(.routing))
        plan.storedInPart(lane: 0, StoredPart(kinds: [], waiting: [.routing: 3]), now: 0)
        #expect(sequence(plan.work(forLane: 0, now: 0)) == 1)
    }

    /// Live batches that cannot be spilled wait in memory; once they have all of it nothing more can be taken.
    @Test func aFullSpillUnderAHeldTableIsStuck() throws {
        var plan = DeliveryPlan(limits: DeliveryPlan.Limits(slots: 2, lanes: 1, waitingMax: 1))
        plan.laneConnected(0)
        for sequence in 1...2 as ClosedRange<Int64> {
            let opened = plan.openSlot()
            let slot = try #require(opened)
            plan.close(
                slot,
                BatchSummary(
                    identity: BatchIdentity(epoch: 1, sequence: sequence), recordCount: 10, frameCount: 1,
                    byteCount: 100, openedMicroseconds: 0))
            #expect(plan.work(forLane: 0, now: 0) != nil)
            plan.hold(.routing, reason: "no", now: 0)
            #expect(!plan.isStuck)
            plan.failed(lane: 0, isLaneLost: false, now: 0)
            let slots = plan.spillWork(max: 4, now: Self.second)
            if !slots.isEmpty { plan.spillFailed(slots, reason: "full", retryAt: .max) }
        }
        #expect(plan.isStuck)
        plan.accepted(KindSet(.routing))
        #expect(!plan.isStuck)
    }
}
