// The steps of the spill's writer: append a group of batches and sync it, end a segment, remove the settled ones. The thread of
// the collector runs them, and so does the simulation.
//
// A group is appended and then made durable by one sync; only then does the owner learn of it. When the disk refuses, the segment
// is abandoned and the batches are written again to another one. Every removal is answered by itself: one that fails holds up
// none of the others.

import Delivery

/// What the writer works for: a plan and the frames of its batches. Called from the writer's thread.
package protocol SpillOwner: AnyObject {
    func summary(_ slot: BatchSlot) -> BatchSummary
    func withFrames<Result, Failure: Error>(
        _ slot: BatchSlot, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result
    /// The batches are durable.
    func spilled(_ batches: [SpilledSlot])
    /// The batches are not durable, and stay in memory.
    func spillFailed(_ slots: [BatchSlot], reason: String, retryAt: UInt64)
    func segmentEnded(_ name: SegmentName)
    func isSettled(_ name: SegmentName) -> Bool
    func leaseRemovals(now: UInt64) -> [SegmentRemoval]
    func removed(_ name: SegmentName)
    func removalFailed(_ name: SegmentName, now: UInt64)
    /// Segments with batches that are not settled.
    func neededSegments() -> [SegmentName]
    /// The batches of a segment that are not settled, each once.
    func neededBatches(in name: SegmentName) -> [SpilledBatch]
    /// Batches of one segment are durable in another place too.
    func moved(_ batches: [(from: SpilledBatch, to: SpilledBatch)])
    /// Batches of one segment cannot be read there any more.
    ///
    /// - Returns: the records of those that have no other copy. Those that a lane has are counted by the lane.
    func lost(_ batches: [SpilledBatch]) -> Int
    /// What has the segment's name is not the collector's: it goes to the quarantine.
    func keepInQuarantine(_ name: SegmentName)
    /// The spill takes batches again.
    func spillRecovered()
}

/// The writer's work, a step for each call. Used by one thread.
package struct SpillSteps: ~Copyable {
    private static let retryNanoseconds: UInt64 = 250_000_000

    var writer: SpillWriter
    /// Whether the last write found its segment removed, replaced or cut.
    package private(set) var wasDisturbed = false

    package init(_ writer: consuming SpillWriter) { self.writer = writer }

    package var currentSegment: SegmentName? { writer.currentSegment }
    /// Bytes of all segments on disk.
    package var usedBytes: UInt64 { writer.usedBytes }

    /// Writes a group of leased batches and answers for each of them.
    ///
    /// - Returns: how many are durable, and why the others are not.
    package mutating func write(
        _ slots: [BatchSlot], for owner: some SpillOwner, now: UInt64, nowMicroseconds: Int64
    ) -> (durable: Int, failure: SpillError?) {
        var (written, failure) = attempt(slots, for: owner, nowMicroseconds)
        wasDisturbed = failure?.isDisturbance == true
        if wasDisturbed {
            // The next segment is a new file: there is nothing to wait for.
            (written, failure) = attempt(slots, for: owner, nowMicroseconds)
        }
        if !written.isEmpty { owner.spilled(written) }
        if let failure {
            owner.spillFailed(
                Array(slots.dropFirst(written.count)), reason: "\(failure)", retryAt: now &+ Self.retryNanoseconds)
        }
        return (written.count, failure)
    }

    /// Writes the batches to one segment, or to the next ones when it is full. The segment is abandoned when that fails.
    private mutating func attempt(
        _ slots: [BatchSlot], for owner: some SpillOwner, _ nowMicroseconds: Int64
    ) -> (written: [SpilledSlot], failure: SpillError?) {
        var written: [SpilledSlot] = []
        var failure: SpillError?
        do throws(SpillError) {
            for slot in slots {
                written.append(SpilledSlot(slot: slot, batch: try append(slot, for: owner, nowMicroseconds)))
            }
        } catch {
            failure = error
        }
        // What was written before the quota was reached is made durable; after any other failure nothing is known.
        if failure.map(\.isQuota) ?? true {
            do throws(SpillError) { try writer.sync() } catch {
                failure = error
                written = []
            }
        } else {
            written = []
        }
        if let failure, !failure.isQuota { abandonSegment(for: owner) }
        for name in writer.takeEndedSegments() { owner.segmentEnded(name) }
        return (written, failure)
    }

    private mutating func append(
        _ slot: BatchSlot, for owner: some SpillOwner, _ nowMicroseconds: Int64
    ) throws(SpillError) -> SpilledBatch {
        let summary = owner.summary(slot)
        return try owner.withFrames(slot) { (frames) throws(SpillError) in
            try writer.append(summary, frames: frames, nowMicroseconds: nowMicroseconds)
        }
    }

    mutating func abandonSegment(for owner: some SpillOwner) {
        if let name = writer.abandonSegment() { owner.segmentEnded(name) }
    }

    /// Ends the present segment.
    ///
    /// - Returns: why it could not be ended in order; it is abandoned then, and what was synced of it stays.
    package mutating func endSegment(for owner: some SpillOwner) -> SpillError? {
        do throws(SpillError) {
            if let name = try writer.endSegment() { owner.segmentEnded(name) }
            return nil
        } catch {
            abandonSegment(for: owner)
            return error
        }
    }

    /// Removes every segment of which nothing is needed any more, and answers for each of them.
    ///
    /// - Returns: what could not be removed, and why. It is tried again.
    package mutating func removeSettled(
        for owner: some SpillOwner, now: UInt64
    ) -> [(name: SegmentName, error: SpillError)] {
        var failures: [(name: SegmentName, error: SpillError)] = []
        for removal in owner.leaseRemovals(now: now) {
            do throws(SpillError) {
                try writer.remove(removal.name, keepInQuarantine: removal.keepInQuarantine)
                owner.removed(removal.name)
            } catch {
                owner.removalFailed(removal.name, now: now)
                failures.append((removal.name, error))
            }
        }
        return failures
    }
}

extension SpillError {
    var isQuota: Bool { if case .quotaReached = self { true } else { false } }
    fileprivate var isDisturbance: Bool { if case .segmentDisturbed = self { true } else { false } }
}
