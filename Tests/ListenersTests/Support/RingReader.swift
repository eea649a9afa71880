// The other end of the ring: takes frames out and remembers what they were.

import FrameCodec
import FrameRing
import Glibc
import LinuxSystem
import Synchronization

/// Reads a ring on a thread of its own until it is stopped, then to its end.
final class RingReader: Sendable {
    struct Frame: Sendable {
        let header: FrameHeader
        let tag: UInt64
    }

    private let frames = Mutex<[Frame]>([])
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<NamedThread?>(nil)

    init(_ ring: FrameRing) throws {
        let started = try NamedThread(name: "ring-reader") { [self] in
            var consumer = ring.takeConsumer()
            while true {
                let isLast = isStopping.load(ordering: .acquiring)
                let taken = consumer.consume(maximumRecords: 10_000) { frame, tag in
                    do {
                        // Admission again: the bytes that come out are those that went in.
                        let header = try FrameHeader.admit(frame)
                        frames.withLock { $0.append(Frame(header: header, tag: tag)) }
                    } catch {
                        preconditionFailure("the ring gave back other bytes: \(error)")
                    }
                    return true
                }
                if taken == 0, isLast { return }
                if taken == 0 { usleep(500) }
            }
        }
        thread.withLock { $0 = started }
    }

    var count: Int { frames.withLock { $0.count } }

    /// Stops and gives everything that was read, in order.
    func finish() -> [Frame] {
        isStopping.store(true, ordering: .releasing)
        thread.withLock { $0.take() }?.join()
        return frames.withLock { $0 }
    }
}

/// Waits until the condition holds; false if it does not in time.
func eventually(withinMilliseconds timeout: Int = 20_000, _ condition: () -> Bool) async throws -> Bool {
    let deadline = monotonicNanoseconds() + UInt64(timeout) * 1_000_000
    while monotonicNanoseconds() < deadline {
        if condition() { return true }
        try await Task.sleep(for: .milliseconds(2))
    }
    return condition()
}

/// A number that closures on other threads may add to.
final class TestCounter: Sendable {
    private let number = Atomic<Int>(0)

    var value: Int { number.load(ordering: .relaxed) }

    func increment() { number.add(1, ordering: .relaxed) }
}
