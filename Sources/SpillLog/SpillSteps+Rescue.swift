// The writer's checks of what it wrote before: segments that something other than the collector removed, replaced or cut are
// written again while they can still be read, and what cannot is counted at once. A spill that takes nothing is tried.

import Delivery
import LinuxSystem

extension SpillSteps {
    /// Checks that the folder is at its path, and takes the one that is there if it is not.
    ///
    /// - Returns: whether another folder was taken since this was last called, by a write or by this.
    /// - Throws: why the path has no folder that can be the spill's.
    package mutating func keepPlace() throws(SpillError) -> Bool { try writer.keepPlace() }

    /// Checks every segment that is needed, and writes the batches of a disturbed one again. O(segments) system calls.
    ///
    /// - Returns: an outcome for each segment of which something was rescued, lost or put off.
    package mutating func rescueDisturbed(for owner: some SpillOwner, nowMicroseconds: Int64) -> [SegmentRescue] {
        var outcomes: [SegmentRescue] = []
        for name in owner.neededSegments() {
            let disturbance: SegmentDisturbance?
            do throws(SpillError) { disturbance = try writer.disturbance(of: name) } catch {
                // Not known now: the next round asks again.
                continue
            }
            guard let disturbance else { continue }
            if writer.currentSegment == name { abandonSegment(for: owner) }
            let batches = owner.neededBatches(in: name)
            guard !batches.isEmpty else { continue }
            // It is not under its name: the quota is for what is.
            if disturbance != .cut { writer.forgetBytes(of: name) }
            if disturbance == .replaced { owner.keepInQuarantine(name) }
            outcomes.append(
                rescue(batches, SegmentRescue(name: name, disturbance: disturbance), owner, nowMicroseconds))
        }
        return outcomes
    }

    private mutating func rescue(
        _ batches: [SpilledBatch], _ disturbed: SegmentRescue, _ owner: some SpillOwner, _ nowMicroseconds: Int64
    ) -> SegmentRescue {
        var outcome = disturbed
        var moved: [(from: SpilledBatch, to: SpilledBatch)] = []
        var lost: [SpilledBatch] = []
        for batch in batches where outcome.failure == nil {
            do throws(SpillError) {
                moved.append((batch, try writer.copy(batch, nowMicroseconds: nowMicroseconds)))
            } catch {
                if case .damaged = error { lost.append(batch) } else { outcome.failure = error }
            }
        }
        if outcome.failure?.isQuota ?? true {
            do throws(SpillError) { try writer.sync() } catch { outcome.failure = error }
        }
        if let failure = outcome.failure, !failure.isQuota {
            moved = []
            abandonSegment(for: owner)
        }
        for name in writer.takeEndedSegments() { owner.segmentEnded(name) }
        if !moved.isEmpty { owner.moved(moved) }
        outcome.recordsRescued = moved.reduce(0) { $0 + $1.from.recordsLeft }
        if !lost.isEmpty { outcome.recordsLost = owner.lost(lost) }
        return outcome
    }

    /// Why the spill has no room for a batch of this size, whether or not one is offered: a full disk is reported before the
    /// outage that needs the spill. Two system calls.
    package func missingRoom(for bytes: Int) -> SpillError? {
        do throws(SpillError) {
            try writer.checkRoom(for: bytes)
            let space: DiskSpace
            do throws(SystemCallError) { space = try writer.fileSystem.space() } catch { throw .system(error) }
            return space.freeBytes < UInt64(bytes)
                ? .quotaReached(reason: "the disk has \(space.freeBytes) bytes left") : nil
        } catch {
            return error
        }
    }

    /// Tries whether a spill that takes nothing would take a batch again, so that it is not shown as blocked for longer than it
    /// is.
    ///
    /// - Returns: why it would not.
    package mutating func probe(for owner: some SpillOwner, nowMicroseconds: Int64) -> SpillError? {
        do throws(SpillError) {
            try writer.probe(nowMicroseconds: nowMicroseconds)
            owner.spillRecovered()
            return nil
        } catch {
            if !error.isQuota { abandonSegment(for: owner) }
            return error
        }
    }
}
