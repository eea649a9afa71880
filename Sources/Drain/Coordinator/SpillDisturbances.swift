// What something other than the collector did to the spill while it ran, for the operator: one line, however often it happened.

import Delivery
import SpillLog

/// Counts what was done to the spill from outside since the start. A plain value.
package struct SpillDisturbances {
    package private(set) var segments = 0
    /// Up to `knownMax` of them.
    private var known: Set<SegmentName> = []
    private static let knownMax = 1_024
    private var recordsRescued = 0
    private var recordsLost = 0
    private var last: SegmentRescue?
    /// Another folder had to be taken, or none can be.
    private var foldersTaken = 0
    /// Where the spill is.
    package var path = ""
    /// It is on a file system in memory.
    package var isInMemoryAlone = false
    /// Why the path has no folder that can be the spill's.
    package var placeFailure: SpillError?
    /// Why the next batch would not find room.
    package var missingRoom: SpillError?

    package mutating func add(_ rescue: SegmentRescue) {
        // A segment that is put off comes again.
        if known.count >= Self.knownMax { known.removeAll() }
        if known.insert(rescue.name).inserted { segments += 1 }
        recordsRescued += rescue.recordsRescued
        recordsLost += rescue.recordsLost
        last = rescue
    }

    package mutating func tookFolder() { foldersTaken += 1 }

    /// One line for each kind of fault.
    package var warnings: [String] {
        var lines: [String] = []
        if isInMemoryAlone {
            lines.append(
                "the spill in \(path) is on a file system in memory (tmpfs): a restart of the machine loses what was "
                    + "acknowledged and waits in it; name a folder on a disk with --spill-directory")
        }
        if let missingRoom {
            lines.append(
                "the spill in \(path) would take no batch in an outage of the database: \(missingRoom). Free space on its disk, "
                    + "or allow more with --spill-quota or --spill-free-percent")
        }
        if let placeFailure {
            lines.append("the spill's directory is not at its place, and batches cannot be spilled: \(placeFailure)")
        } else if foldersTaken > 0 {
            lines.append(
                "the spill's directory \(path) was removed, renamed or replaced \(foldersTaken) times while the collector ran, "
                    + "which has taken its place again: records that were moved away with it were written again")
        }
        if let last {
            let put = last.failure.map { "; the rest waits, since \($0)" } ?? ""
            lines.append(
                "something other than the collector disturbed \(segments) segments of the spill in \(path); the last, "
                    + "\(last.name), was \(last.disturbance): \(recordsRescued) records were written again, \(recordsLost) are lost\(put). "
                    + "Keep cleaners out of this directory")
        }
        return lines
    }
}
