// The segments that are kept open while a batch of them is needed. A file whose name was taken away by a cleaner or an operator
// can be read for as long as it is open: nothing in it is lost, and it is written again under a name.
//
// Limits: `capacity` descriptors; further segments are opened by their names when they are read.
// Invariant: a segment that was removed is not kept, so that the disk gets its room back.

import Delivery
import LinuxSystem
import Synchronization

/// Open segments, shared by the writer and the readers. Safe from any thread.
public final class SegmentFiles: Sendable {
    /// With a quota of 10 GiB there are 80 full segments.
    public static let capacityDefault = 256

    public let capacity: Int
    private let files = Mutex<[SegmentName: any SpillFile]>([:])

    public init(capacity: Int = capacityDefault) { self.capacity = capacity }

    /// The segment's file, if it is kept. It is closed with its last reference: whoever has one may use it.
    subscript(name: SegmentName) -> (any SpillFile)? { files.withLock { $0[name] } }

    package func keeps(_ name: SegmentName) -> Bool { self[name] != nil }

    /// Keeps a file, if there is room for it.
    func keep(_ name: SegmentName, _ file: any SpillFile) {
        files.withLock { if $0.count < capacity { $0[name] = file } }
    }

    func release(_ name: SegmentName) { files.withLock { $0[name] = nil } }

    /// Opens and keeps segments that an earlier run left. One that cannot be opened is opened when it is read.
    public func keep(_ names: [SegmentName], of fileSystem: any SpillFileSystem) {
        for name in names.prefix(capacity) {
            do throws(SystemCallError) {
                keep(name, try fileSystem.open(name.text, forReading: true))
            } catch {
                // Its reader says what is wrong, and tries again.
                continue
            }
        }
    }
}
