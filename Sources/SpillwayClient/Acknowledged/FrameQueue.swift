// The way of finished frames from the threads of a program to the one that delivers them.
//
// Limits: `bytesMax`. Invariant: every frame that was offered is waiting, taken or dropped, and counted as such.

import LinuxSystem
import Synchronization

/// A bounded queue of frames. Safe from any thread; nobody waits for it.
final class FrameQueue: Sendable {
    /// Frames one behind the other.
    struct Frames {
        var bytes: [UInt8] = []
        var entries: [Entry] = []

        struct Entry {
            let sequence: UInt64
            let byteCount: Int
            let recordCount: Int
        }

        mutating func removeAll() {
            bytes.removeAll(keepingCapacity: true)
            entries.removeAll(keepingCapacity: true)
        }
    }

    private struct State {
        var waiting = Frames()
        var recordsTaken: UInt64 = 0
        var recordsDropped: UInt64 = 0
        var limits = CollectorLimits.ofProtocol
    }

    private let bytesMax: Int
    private let state = Mutex(State())
    /// Signalled when a frame comes into an empty queue.
    let arrival: WakeEvent

    init(bytesMax: Int) throws(SystemCallError) {
        precondition(bytesMax >= FrameLimits.frameBytesMax)
        self.bytesMax = bytesMax
        arrival = try WakeEvent()
    }

    /// Takes a frame, or drops it when there is no room. O(bytes).
    ///
    /// - Returns: whether it was taken: else its sequence is free for the next one.
    func offer(_ frame: RawSpan, sequence: UInt64, recordCount: Int) -> Bool {
        let wasEmpty = state.withLock { state -> Bool? in
            guard state.waiting.bytes.count + frame.byteCount <= bytesMax else {
                state.recordsDropped += UInt64(recordCount)
                return nil
            }
            let wasEmpty = state.waiting.entries.isEmpty
            frame.withUnsafeBytes { state.waiting.bytes.append(contentsOf: $0) }
            state.waiting.entries.append(
                Frames.Entry(sequence: sequence, byteCount: frame.byteCount, recordCount: recordCount))
            state.recordsTaken += UInt64(recordCount)
            return wasEmpty
        }
        if wasEmpty == true { arrival.signal() }
        return wasEmpty != nil
    }

    /// Exchanges what waits for the emptied `frames`.
    func take(_ frames: inout Frames) {
        precondition(frames.entries.isEmpty)
        state.withLock { swap(&frames, &$0.waiting) }
    }

    /// Records of all frames that it ever took.
    var recordsTaken: UInt64 { state.withLock { $0.recordsTaken } }
    /// What the collector takes at most, as far as it has said so.
    var limits: CollectorLimits {
        state.withLock { $0.limits }
    }

    func keep(within limits: CollectorLimits) { state.withLock { $0.limits = limits } }

    var recordsDropped: UInt64 { state.withLock { $0.recordsDropped } }
}
