// Delivers a client's frames over TCP on a thread of its own: what the collector has not acknowledged is kept, and sent again over
// the next connection, for as long as the program runs.
//
// Limits: `FrameQueue.bytesMax` and `AcknowledgedSender.bytesMax`; a full queue drops and counts.

import LinuxSystem
import Synchronization

/// The thread behind a client that wants acknowledgements.
final class BackgroundDelivery: Sendable {
    struct Progress {
        var statistics = AcknowledgementStatistics()
        /// Records that are neither acknowledged nor refused, those in the queue left out.
        var recordsOpen = 0
        /// Records that were open when the time of the end was over.
        var recordsAbandoned = 0
        var lastError: ClientError?
    }

    let queue: FrameQueue
    private let progress = Mutex(Progress())
    /// The records that the next heartbeat tells were dropped before they were part of a frame; nil for no heartbeat.
    private let heartbeat = Mutex<UInt64?>(nil)
    private let stopping: WakeEvent
    private let isStopping = Atomic(false)

    /// How long the thread waits for answers before it looks for new frames.
    private static let lookMilliseconds = 20
    private static let idleMilliseconds: Int32 = 1_000
    private static let retryMilliseconds: Int32 = 1_000
    /// The collector's last word is waited for so long at least.
    private static let receiptMillisecondsMin = 1_000
    private static let queueBytesMax = 2 << 20

    init() throws(SystemCallError) {
        queue = try FrameQueue(bytesMax: Self.queueBytesMax)
        stopping = try WakeEvent()
    }

    var now: Progress { progress.withLock { $0 } }

    /// Has the session's totals sent.
    func sendHeartbeat(recordsDropped: UInt64) {
        heartbeat.withLock { $0 = recordsDropped }
        queue.arrival.signal()
    }

    /// Ends `run` once everything is acknowledged, or when its time is over.
    func stop() {
        // Pairs with the acquiring load in `run`: what was offered before the stop is taken after it.
        isStopping.store(true, ordering: .releasing)
        stopping.signal()
        queue.arrival.signal()
    }

    /// Runs until `stop`, and then until everything is acknowledged, for at most so long.
    func run(_ sender: consuming AcknowledgedSender, closeMilliseconds: Int) {
        var taken = Taken()
        var deadline: UInt64?
        while true {
            if deadline == nil, isStopping.load(ordering: .acquiring) {
                deadline = monotonicNanoseconds() &+ UInt64(closeMilliseconds) * 1_000_000
            }
            if taken.isEmpty { taken.refill(from: queue) }
            taken.move(to: &sender)
            if let dropped = heartbeat.withLock({ $0.take() }) { sender.sendHeartbeat(recordsDropped: dropped) }
            publish(sender, taken)
            let isIdle = taken.isEmpty && sender.framesOpen == 0 && !sender.hasHeartbeatWaiting
            if let deadline {
                // A heartbeat alone is not worth the wait for a collector that is not there.
                let isDone = taken.isEmpty && sender.framesOpen == 0 && (isIdle || !sender.isConnected)
                if isDone || monotonicNanoseconds() >= deadline { break }
            }
            if isIdle {
                if queue.arrival.wait(timeoutMilliseconds: Self.idleMilliseconds) { queue.arrival.consume() }
            } else {
                step(&sender)
            }
        }
        if sender.framesOpen == 0, taken.isEmpty, sender.isConnected {
            let now = monotonicNanoseconds()
            let left = deadline.map { $0 > now ? Int(($0 - now) / 1_000_000) : 0 } ?? 0
            do throws(ClientError) {
                _ = try sender.finish(
                    withinMilliseconds: min(max(left, Self.receiptMillisecondsMin), closeMilliseconds))
            } catch {
                note(error)
            }
        }
        taken.refillAll(from: queue)
        let open = sender.recordsOpen + taken.recordsLeft
        let (statistics, lastError) = (sender.statistics, sender.lastError)
        progress.withLock { progress in
            progress.statistics = statistics
            progress.lastError = lastError ?? progress.lastError
            progress.recordsOpen = 0
            progress.recordsAbandoned = open
        }
    }

    private func step(_ sender: inout AcknowledgedSender) {
        do throws(ClientError) {
            try sender.progress(waitMilliseconds: Self.lookMilliseconds)
        } catch {
            // A name that is not known now may be later.
            note(error)
            stopping.wait(timeoutMilliseconds: Self.retryMilliseconds)
        }
    }

    private func note(_ error: ClientError) { progress.withLock { $0.lastError = error } }

    private func publish(_ sender: borrowing AcknowledgedSender, _ taken: borrowing Taken) {
        let (statistics, records) = (sender.statistics, sender.recordsOpen + taken.recordsLeft)
        let lastError = sender.lastError
        progress.withLock { progress in
            progress.statistics = statistics
            progress.recordsOpen = records
            progress.lastError = lastError ?? progress.lastError
        }
    }
}

/// Frames on their way from the queue to the sender.
private struct Taken {
    private var frames = FrameQueue.Frames()
    private var next = 0
    private var offset = 0
    private(set) var recordsLeft = 0

    var isEmpty: Bool { next == frames.entries.count }

    mutating func refill(from queue: FrameQueue) {
        frames.removeAll()
        next = 0
        offset = 0
        queue.take(&frames)
        recordsLeft = frames.entries.reduce(0) { $0 + $1.recordCount }
    }

    /// Counts what is still in the queue to what is left here.
    mutating func refillAll(from queue: FrameQueue) {
        let before = recordsLeft
        refill(from: queue)
        recordsLeft += before
    }

    /// As many as there is room for.
    mutating func move(to sender: inout AcknowledgedSender) {
        while !isEmpty, !sender.isFull(for: frames.entries[next].byteCount) {
            let entry = frames.entries[next]
            sender.take(
                frames.bytes.span.bytes.extracting(offset..<offset + entry.byteCount), sequence: entry.sequence,
                recordCount: entry.recordCount)
            offset += entry.byteCount
            next += 1
            recordsLeft -= entry.recordCount
        }
    }
}
