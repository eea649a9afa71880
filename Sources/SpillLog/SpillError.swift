// What can go wrong with the spill, each with its place.

import Delivery
import Glibc
import LinuxSystem

/// Why the spill cannot be used, or an operation on it failed.
public enum SpillError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The directory cannot be the spill's.
    case directoryNotUsable(path: String, reason: String)
    /// Another process owns the directory.
    case directoryInUse(path: String, holder: String)
    /// The segments have as many bytes as they may have, or the disk has too little room left.
    case quotaReached(reason: String)
    /// The disk or the kernel refused. After a failed write or sync of a segment nothing is known of what was written
    /// since the sync before.
    case system(SystemCallError)
    /// Something other than the collector removed, replaced or cut the segment that is written: what was written to it since
    /// the sync before is written again elsewhere.
    case segmentDisturbed(file: String, disturbance: SegmentDisturbance)
    /// The bytes on disk are not those that were written.
    case damaged(file: String, offset: Int, reason: String)

    public var description: String {
        switch self {
        case .directoryNotUsable(let path, let reason): "spill directory \(path): \(reason)"
        case .directoryInUse(let path, let holder): "spill directory \(path) is in use by \(holder)"
        case .quotaReached(let reason): "the spill is full: \(reason)"
        case .system(let error): "\(error)"
        case .segmentDisturbed(let file, let disturbance):
            "\(file) was \(disturbance) by something other than the collector"
        case .damaged(let file, let offset, let reason): "\(file): damaged at byte \(offset): \(reason)"
        }
    }
}

extension SpillError {
    /// What a failed reading says of the batch.
    package var readFailure: ReadFailure {
        switch self {
        case .damaged: .damaged
        // Somebody has taken its segment away.
        case .system(let error) where error.code == ENOENT: .damaged
        case .system(let error) where error.code == EIO: .diskError
        case .system, .quotaReached, .directoryInUse, .directoryNotUsable, .segmentDisturbed: .passing
        }
    }
}
