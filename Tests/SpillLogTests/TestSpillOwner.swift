import Delivery
import Testing

@testable import SpillLog

/// A plan and its batches.
final class TestSpillOwner: SpillOwner {
    var plan = DeliveryPlan(limits: DeliveryPlan.Limits(slots: 8, lanes: 1, waitingMax: 0))
    /// Records that were lost on the disk.
    var recordsLost = 0
    private var batches: [BatchSlot: TestBatch] = [:]

    func close(_ batch: TestBatch) throws {
        plan.laneLost(0)
        let opened = plan.openSlot()
        let slot = try #require(opened)
        batches[slot] = batch
        plan.close(slot, batch.summary)
    }

    func summary(_ slot: BatchSlot) -> BatchSummary { plan.summary(slot) }
    func withFrames<Result, Failure: Error>(
        _ slot: BatchSlot, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard let bytes = batches[slot]?.bytes else { preconditionFailure("the slot has a batch") }
        return try bytes.span.bytes.withUnsafeBytes { (raw) throws(Failure) in try body(raw) }
    }
    func spilled(_ batches: [SpilledSlot]) { plan.spilled(batches) }
    func spillFailed(_ slots: [BatchSlot], reason: String, retryAt: UInt64) {
        plan.spillFailed(slots, reason: reason, retryAt: retryAt)
    }
    func segmentEnded(_ name: SegmentName) { plan.segmentEnded(name) }
    func isSettled(_ name: SegmentName) -> Bool { plan.isSettled(name) }
    func leaseRemovals(now: UInt64) -> [SegmentRemoval] { plan.leaseRemovals(now: now) }
    func removed(_ name: SegmentName) { plan.removed(name) }
    func removalFailed(_ name: SegmentName, now: UInt64) { plan.removalFailed(name, now: now) }
    func neededSegments() -> [SegmentName] { plan.neededSegments }
    func neededBatches(in name: SegmentName) -> [SpilledBatch] { plan.neededBatches(in: name) }
    func moved(_ batches: [(from: SpilledBatch, to: SpilledBatch)]) { plan.moved(batches) }
    func lost(_ batches: [SpilledBatch]) -> Int {
        let records = plan.lost(batches).reduce(0) { $0 + $1.recordsLeft }
        recordsLost += records
        return records
    }
    func keepInQuarantine(_ name: SegmentName) { plan.keepInQuarantine(name) }
    func spillRecovered() { plan.spillRecovered() }
}
