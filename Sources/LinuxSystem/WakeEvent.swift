// An eventfd: a thread that polls descriptors can be woken by another one.

import CLinux
import Glibc

/// Wakes a thread that waits in `poll`. Signals are counted together: one `consume` takes them all.
public final class WakeEvent: Sendable {
    /// The descriptor to poll for readability.
    public let descriptor: Int32

    public init() throws(SystemCallError) {
        descriptor = Int32(try checkedCall("eventfd") { Int(spillway_eventfd()) })
    }

    deinit { close(descriptor) }

    /// Makes the descriptor readable. Safe from any thread.
    public func signal() {
        // EAGAIN means that the counter is full, so the descriptor is readable already.
        _ = spillway_eventfd_write(descriptor, 1)
    }

    /// Makes the descriptor unreadable again.
    public func consume() {
        var value: UInt64 = 0
        _ = spillway_eventfd_read(descriptor, &value)
    }

    /// Waits until signalled or until the time is over.
    ///
    /// - Returns: whether it was signalled.
    @discardableResult
    public func wait(timeoutMilliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, timeoutMilliseconds) > 0
    }
}
