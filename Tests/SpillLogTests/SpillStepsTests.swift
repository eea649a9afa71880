// The writer's steps on a real folder: what fails for one segment holds up no other, and nothing is forgotten by a failure.

import Delivery
import LinuxSystem
import Testing

@testable import SpillLog

struct SpillStepsTests {
    private let folder: SpillFolder
    private let failing: FailingFileSystem
    private let owner = TestSpillOwner()

    init() throws {
        folder = try SpillFolder()
        failing = FailingFileSystem(folder.fileSystem)
    }

    private func makeSteps(quotaBytes: UInt64 = 1 << 30) -> SpillSteps {
        var limits = SpillLimits()
        limits.quotaBytes = quotaBytes
        limits.freePercentMin = 0
        return SpillSteps(SpillWriter(fileSystem: failing, directoryID: 1, epoch: 3, limits: limits))
    }

    /// Spills batches, each into a segment of its own, and settles them.
    private func spill(_ count: Int, _ steps: inout SpillSteps) throws {
        var generator = SeededGenerator(seed: 8)
        for number in 1...count {
            try owner.close(TestBatch(Int64(number), byteCount: 20_000, using: &generator))
            let (durable, failure) = steps.write(
                owner.plan.spillWork(max: 4, now: 0), for: owner, now: 0, nowMicroseconds: 1)
            try #require(durable == 1 && failure == nil)
            let failureAtEnd = steps.endSegment(for: owner)
            try #require(failureAtEnd == nil)
        }
        owner.plan.laneConnected(0)
        while owner.plan.work(forLane: 0, now: 0) != nil { _ = owner.plan.stored(lane: 0) }
    }

    @Test func aSegmentThatCannotBeRemovedHoldsUpNoOtherAndIsRemovedLater() throws {
        var steps = makeSteps()
        try spill(5, &steps)
        let used = steps.usedBytes
        failing.unlinksToFail = 1
        let failures = steps.removeSettled(for: owner, now: 0)
        #expect(failures.map(\.name.sequence) == [1])
        let names = try folder.fileSystem.names().filter { $0 != "lock" }
        #expect(names == [SegmentName(epoch: 3, sequence: 1).text])
        // The quota knows of the four that are gone.
        let rest = steps.usedBytes
        #expect(rest < used / 4)
        let later = steps.removeSettled(for: owner, now: DeliveryPlan.removalRetryNanoseconds)
        #expect(later.isEmpty)
        #expect(try folder.fileSystem.names() == ["lock"])
        let left = steps.usedBytes
        #expect(left == 0)
    }

    @Test func aFullDiskIsFreedThoughAnotherSegmentCannotGoToTheQuarantine() throws {
        var steps = makeSteps()
        try spill(4, &steps)
        // Damage that was found when the first one was replayed.
        owner.plan.recovered(SegmentName(epoch: 3, sequence: 1), batches: [], keepInQuarantine: true)
        failing.quarantineError = 28
        let failures = steps.removeSettled(for: owner, now: 0)
        #expect(failures.map(\.name.sequence) == [1])
        #expect(try folder.fileSystem.names().count { $0 != "lock" } == 1)
        // With room again it goes there, and nothing of it is lost.
        failing.quarantineError = nil
        let later = steps.removeSettled(for: owner, now: DeliveryPlan.removalRetryNanoseconds)
        #expect(later.isEmpty)
        #expect(folder.quarantined == [SegmentName(epoch: 3, sequence: 1).text])
    }

    @Test func anOutageAfterAFailedRemovalFindsTheWholeQuota() throws {
        var steps = makeSteps(quotaBytes: 120_000)
        var generator = SeededGenerator(seed: 9)
        func fill() throws -> Int {
            var count = 0
            while true {
                try owner.close(
                    TestBatch(Int64(count + 1), byteCount: 20_000, noiseBytes: 18_000, using: &generator))
                let (durable, failure) = steps.write(
                    owner.plan.spillWork(max: 1, now: .max), for: owner, now: 0, nowMicroseconds: 1)
                guard failure == nil else { break }
                count += durable
                _ = steps.endSegment(for: owner)
            }
            // The one that found no room is stored by the lane.
            owner.plan.laneConnected(0)
            while owner.plan.work(forLane: 0, now: .max) != nil { _ = owner.plan.stored(lane: 0) }
            return count
        }
        let first = try fill()
        failing.unlinksToFail = 1
        _ = steps.removeSettled(for: owner, now: 0)
        _ = steps.removeSettled(for: owner, now: DeliveryPlan.removalRetryNanoseconds)
        #expect(try fill() == first && first > 3)
    }
}
