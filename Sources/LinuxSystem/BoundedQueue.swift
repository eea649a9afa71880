// A queue between threads that holds at most so many elements: the writer waits when it is full, readers when it is empty.
// It moves batches, not records: a lock for fifty thousand records costs nothing.

import Glibc

/// A first-in, first-out queue with waits that end.
///
/// `@unchecked Sendable`: every access to `elements` and `isClosed` happens under `mutex`, and the pointers never change.
public final class BoundedQueue<Element: Sendable>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)
    private let changed: UnsafeMutablePointer<pthread_cond_t> = .allocate(capacity: 1)
    private var elements: [Element] = []
    private var isClosed = false
    /// The most elements that wait in the queue.
    public let capacity: Int

    public init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
        elements.reserveCapacity(capacity)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Elements that wait now.
    public var count: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return elements.count
    }

    /// Appends an element, or waits until there is room.
    ///
    /// - Returns: false when there was no room until `timeoutMilliseconds` were over, or the queue is closed.
    public func push(_ element: Element, timeoutMilliseconds: Int) -> Bool {
        let deadline = Self.deadline(timeoutMilliseconds)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while elements.count >= capacity && !isClosed {
            if !wait(until: deadline) { break }
        }
        guard elements.count < capacity, !isClosed else { return false }
        elements.append(element)
        pthread_cond_broadcast(changed)
        return true
    }

    /// Takes the oldest element, or waits for one.
    ///
    /// - Returns: nil when none came until `timeoutMilliseconds` were over, or the queue is closed and empty.
    public func pop(timeoutMilliseconds: Int) -> Element? {
        let deadline = Self.deadline(timeoutMilliseconds)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while elements.isEmpty && !isClosed {
            if !wait(until: deadline) { break }
        }
        guard !elements.isEmpty else { return nil }
        // O(capacity), which is a handful.
        let element = elements.removeFirst()
        pthread_cond_broadcast(changed)
        return element
    }

    /// Whether the queue is closed and has nothing left.
    public var isDrained: Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return isClosed && elements.isEmpty
    }

    /// Nothing more is pushed; what waits can still be taken.
    public func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    /// Waits for a change. Returns false at the deadline.
    private func wait(until deadline: timespec) -> Bool {
        var deadline = deadline
        return pthread_cond_timedwait(changed, mutex, &deadline) != ETIMEDOUT
    }

    private static func deadline(_ milliseconds: Int) -> timespec {
        let nanoseconds = monotonicNanoseconds() &+ UInt64(max(milliseconds, 0)) &* 1_000_000
        return timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }
}
