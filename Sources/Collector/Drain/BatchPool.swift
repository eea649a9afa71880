// The batches that a collector works with: a fixed number, made once and used again, so that memory is bounded whatever
// comes in. Full batches wait for a lane in one queue, empty ones for the drainer in the other.

import LinuxSystem

/// The two queues between the drainer and the lanes.
final class BatchPool: Sendable {
    /// Closed batches, oldest first.
    let full: BoundedQueue<FrameBatch>
    /// Batches that the drainer may fill.
    let empty: BoundedQueue<FrameBatch>

    /// Batches that wait before the lanes beside those in work, so that a lane never waits for the drainer.
    static let waitingPerLane = 1

    init(lanes: Int, limits: BatchLimits) {
        // One in each lane, one waiting for each, one that the drainer fills.
        let count = lanes * (1 + Self.waitingPerLane) + 1
        full = BoundedQueue(capacity: count)
        empty = BoundedQueue(capacity: count)
        for _ in 0..<count {
            let fits = empty.push(FrameBatch(limits: limits), timeoutMilliseconds: 0)
            precondition(fits)
        }
    }

    /// Gives a batch back.
    func release(_ batch: FrameBatch) {
        batch.removeAll()
        let fits = empty.push(batch, timeoutMilliseconds: 0)
        precondition(fits, "there are only as many batches as the queue has room for")
    }
}
