// What the ring is compared with: messages of one size in a circle of memory, under the standard library's mutex.

import Glibc
import Synchronization

/// A bounded queue under a lock. Nothing is allocated after `init`, so that the lock is what is measured.
final class MutexDeque: Sendable {
    private struct State {
        var storage: [UInt8]
        var head = 0
        var count = 0
    }

    private let messageBytes: Int
    private let capacity: Int
    private let state: Mutex<State>

    init(messageBytes: Int, capacity: Int) {
        self.messageBytes = messageBytes
        self.capacity = capacity
        state = Mutex(State(storage: [UInt8](repeating: 0, count: messageBytes * capacity)))
    }

    /// Copies the message in so many times, under one lock; false when there is no room for all.
    func append(_ message: [UInt8], times: Int) -> Bool {
        state.withLock { state in
            guard state.count + times <= capacity else { return false }
            for _ in 0..<times {
                let next = state.head + state.count
                let place = (next < capacity ? next : next - capacity) * messageBytes
                state.storage.withUnsafeMutableBytes { storage in
                    let room = UnsafeMutableRawBufferPointer(rebasing: storage[place..<place + messageBytes])
                    message.withUnsafeBytes { room.copyMemory(from: $0) }
                }
                state.count += 1
            }
            return true
        }
    }

    /// Takes up to `max` messages, under one lock, and adds the first word of each to `sum`.
    func take(max: Int, sum: inout UInt64) -> Int {
        let (taken, words) = state.withLock { state in
            let taken = min(max, state.count)
            var words: UInt64 = 0
            for _ in 0..<taken {
                words &+= state.storage.withUnsafeBytes {
                    $0.loadUnaligned(fromByteOffset: state.head * messageBytes, as: UInt64.self)
                }
                state.head = state.head + 1 == capacity ? 0 : state.head + 1
            }
            state.count -= taken
            return (taken, words)
        }
        sum &+= words
        return taken
    }
}
