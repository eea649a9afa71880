// What something other than the collector may do to a segment, and what became of its batches.

import Delivery

/// Why a segment is not what was written.
public enum SegmentDisturbance: Sendable, Equatable, CustomStringConvertible {
    /// Nothing has its name.
    case removed
    /// Another file has its name.
    case replaced
    /// It has fewer bytes than were written.
    case cut

    public var description: String {
        switch self {
        case .removed: "removed"
        case .replaced: "replaced"
        case .cut: "cut"
        }
    }
}

/// The outcome for a segment that was disturbed.
package struct SegmentRescue {
    package let name: SegmentName
    package let disturbance: SegmentDisturbance
    /// Written again to another segment, and durable there.
    package var recordsRescued = 0
    package var recordsLost = 0
    /// Why the rest could not be written again yet; nil if there is no rest.
    package var failure: SpillError?
}
