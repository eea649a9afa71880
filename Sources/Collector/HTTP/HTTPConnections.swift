// The open connections of the HTTP side. A client that is slow with its request loses its place to the next one when there is
// no other: however many of them come, a request that is sent at once is answered.
//
// Limits: as many connections as are given; those whose request is not complete go first.

import NIOCore
import Synchronization

/// Who is connected. Safe from any thread.
final class HTTPConnections: Sendable {
    private struct State {
        var next: UInt64 = 0
        /// Their requests are not complete. Oldest first.
        var waiting: [(number: UInt64, channel: any Channel)] = []
        /// Their answers are on the way.
        var answering: Set<UInt64> = []
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    /// Takes a connection in, and closes the oldest one whose request is not complete if there is no room beside it.
    ///
    /// - Returns: its number; nil where every connection has an answer on its way.
    func admit(_ channel: any Channel) -> UInt64? {
        let (number, evicted): (UInt64?, (any Channel)?) = state.withLock { state in
            var evicted: (any Channel)?
            if state.waiting.count + state.answering.count >= limit {
                guard !state.waiting.isEmpty else { return (nil, nil) }
                evicted = state.waiting.removeFirst().channel
            }
            state.next += 1
            state.waiting.append((state.next, channel))
            return (state.next, evicted)
        }
        evicted?.close(promise: nil)
        return number
    }

    /// The request is complete.
    func isAnswering(_ number: UInt64) {
        state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0.number == number }) else { return }
            state.waiting.remove(at: index)
            state.answering.insert(number)
        }
    }

    func leave(_ number: UInt64) {
        state.withLock { state in
            state.answering.remove(number)
            state.waiting.removeAll { $0.number == number }
        }
    }
}
