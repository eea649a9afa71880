// Delivers a client's frames over TCP on a thread of its own: what the collector has not acknowledged is kept, and sent again over
// the next connection, for as long as the program runs.
//
// Limits: `FrameQueue.bytesMax` and `AcknowledgedSender.bytesMax`; a full queue drops and counts. From the deadline of `stop` on
// the thread ends within one step, `stepMilliseconds`: no step waits longer, whatever the name servers and the network do.
// Invariant: every record that the queue took is acknowledged, refused, abandoned or waiting, in each `Progress` and after it.

import LinuxSystem
import Synchronization

/// The thread behind a client that wants acknowledgements.
final class BackgroundDelivery: Sendable {
    struct Progress {
        var statistics = AcknowledgementStatistics()
        /// Records that were open at the deadline of `stop`.
        var recordsAbandoned: UInt64 = 0
        /// Why the last connection ended or was not had, or why records were dropped since.
        var lastError: ClientError?
        var isConnected = false

        /// Records that need nothing more.
        var recordsSettled: UInt64 {
            statistics.recordsAcknowledged + statistics.recordsRefused + recordsAbandoned
        }
    }

    let queue: FrameQueue
    private let noRoom: ClientError
    private let progress = Mutex(Progress())
    /// The records that the next heartbeat reports as dropped before they were part of a frame; nil for no heartbeat.
    private let heartbeat = Mutex<UInt64?>(nil)
    private let stopping: WakeEvent
    /// Readable for ever once `run` has ended.
    private let ended: WakeEvent
    /// On the monotonic clock; 0 before `stop`.
    private let deadlineNanoseconds = Atomic<UInt64>(0)

    /// How long the thread waits for answers before it checks for new frames and for the deadline.
    private static let stepMilliseconds = 20
    private static let idleMilliseconds: Int32 = 1_000
    private static let retryMilliseconds: Int32 = 1_000
    /// With nothing left to deliver, the collector's receipt is waited for this long even past the deadline.
    private static let receiptMillisecondsMin = 100
    private static let queueBytesMax = 2 << 20

    /// - Parameter noRoom: why records are dropped while the collector is connected.
    init(noRoom: ClientError) throws(SystemCallError) {
        self.noRoom = noRoom
        queue = try FrameQueue(bytesMax: Self.queueBytesMax)
        stopping = try WakeEvent()
        ended = try WakeEvent()
    }

    /// Any number of threads may wait for it.
    func waitUntilEnded() { ended.wait(timeoutMilliseconds: -1) }

    var now: Progress { progress.withLock { $0 } }

    /// Takes a frame, or drops it when there is no room.
    ///
    /// - Returns: whether it was taken.
    func offer(_ frame: RawSpan, sequence: UInt64, recordCount: Int) -> Bool {
        if queue.offer(frame, sequence: sequence, recordCount: recordCount) { return true }
        progress.withLock { progress in
            // Without a connection, that is the reason.
            if progress.isConnected { progress.lastError = noRoom }
        }
        return false
    }

    /// Has the session's totals sent.
    func sendHeartbeat(recordsDropped: UInt64) {
        heartbeat.withLock { $0 = recordsDropped }
        queue.arrival.signal()
    }

    /// Ends `run` once everything is acknowledged, or `milliseconds` from now. What is open then is abandoned.
    func stop(withinMilliseconds milliseconds: Int) {
        // Pairs with the acquiring load in `run`: what was offered before the stop is taken after it.
        deadlineNanoseconds.store(
            monotonicNanoseconds() &+ UInt64(max(milliseconds, 0)) * 1_000_000, ordering: .releasing)
        stopping.signal()
        queue.arrival.signal()
    }

    /// Runs until `stop`, and then until everything is acknowledged or the deadline has passed.
    func run(_ sender: consuming AcknowledgedSender) {
        var taken = Taken()
        var deadline: UInt64 = 0
        while true {
            if deadline == 0 { deadline = deadlineNanoseconds.load(ordering: .acquiring) }
            if taken.isEmpty { taken.refill(from: queue) }
            taken.move(to: &sender)
            if let dropped = heartbeat.withLock({ $0.take() }) { sender.sendHeartbeat(recordsDropped: dropped) }
            publish(&sender)
            let isIdle = taken.isEmpty && sender.framesOpen == 0 && !sender.hasHeartbeatWaiting
            if deadline > 0 {
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
        if sender.framesOpen == 0, taken.isEmpty, sender.isConnected { finish(&sender, deadline: deadline) }
        taken.refillAll(from: queue)
        let open = UInt64(sender.recordsOpen + taken.recordsLeft)
        publish(&sender, recordsAbandoned: open)
        ended.signal()
    }

    /// Moves the frames to the sender as `run` does.
    func rehearse(_ sender: inout AcknowledgedSender) {
        var taken = Taken()
        taken.refill(from: queue)
        taken.move(to: &sender)
        publish(&sender)
    }

    private func step(_ sender: inout AcknowledgedSender) {
        do throws(ClientError) {
            try sender.progress(waitMilliseconds: Self.stepMilliseconds)
        } catch {
            // A name that is not known now may be later.
            note(error)
            stopping.wait(timeoutMilliseconds: Self.retryMilliseconds)
        }
    }

    private func finish(_ sender: inout AcknowledgedSender, deadline: UInt64) {
        let now = monotonicNanoseconds()
        let left = deadline > now ? Int((deadline - now) / 1_000_000) : 0
        do throws(ClientError) {
            _ = try sender.finish(withinMilliseconds: max(left, Self.receiptMillisecondsMin))
        } catch {
            note(error)
        }
    }

    private func note(_ error: ClientError) { progress.withLock { $0.lastError = error } }

    private func publish(_ sender: inout AcknowledgedSender, recordsAbandoned: UInt64 = 0) {
        let (statistics, isConnected, error) = (sender.statistics, sender.isConnected, sender.takeNewError())
        queue.keep(within: sender.limits)
        progress.withLock { progress in
            progress.statistics = statistics
            progress.recordsAbandoned = recordsAbandoned
            progress.isConnected = isConnected
            progress.lastError = error ?? progress.lastError
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
        while !isEmpty, sender.hasRoom(for: frames.entries[next].byteCount) {
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
