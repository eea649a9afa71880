// The one place where a connection waits.

import CPostgreSQL
import Glibc
import LinuxSystem

extension DatabaseConnection {
    /// Waits until the socket is ready for one of `events`.
    ///
    /// - Returns: what the socket is ready for (errors and hang-ups too), or 0 when the deadline has passed.
    /// - Throws: `.cancelled` when the stop event is signalled; the connection is closed then, since a statement
    ///   may be under way.
    package func wait(for events: Int16, deadline: UInt64) throws(DatabaseError) -> Int16 {
        let handle = try usableHandle()
        // The socket changes while libpq tries one address after the other.
        let socket = PQsocket(handle)
        // Gone already: libpq says why as soon as it is asked, and poll would sleep on it to the deadline.
        guard socket >= 0 else { return Int16(POLLERR) }
        var entries = [
            pollfd(fd: socket, events: events, revents: 0),
            pollfd(fd: stop?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        do {
            try checkedCall("poll", object: "database socket") {
                let now = monotonicNanoseconds()
                let left = deadline > now ? (deadline - now) / 1_000_000 + 1 : 0
                return Int(poll(&entries, 2, Int32(clamping: left)))
            }
        } catch {
            close()
            throw self.error(.connectionLost(reason: error.description))
        }
        if entries[1].revents != 0 {
            close()
            throw error(.cancelled)
        }
        return entries[0].revents
    }

    /// The same with the silence timeout as its deadline; the connection is closed when that has passed.
    package func waitForProgress(_ events: Int16) throws(DatabaseError) -> Int16 {
        let limit = hasTimeLimit ? options.silenceTimeoutMilliseconds : Int(Int32.max)
        let ready = try wait(for: events, deadline: monotonicNanoseconds() + UInt64(limit) * 1_000_000)
        if ready == 0 {
            close()
            throw error(.timedOut(milliseconds: limit))
        }
        return ready
    }

    /// Sends what libpq holds back. Reads as well while it waits: a server that wants to be read first does not take
    /// anything more.
    package func flush() throws(DatabaseError) {
        let handle = try usableHandle()
        while true {
            let left = PQflush(handle)
            if left == 0 { return }
            if left < 0 { throw lost() }
            let ready = try waitForProgress(Int16(POLLIN | POLLOUT))
            if ready & ~Int16(POLLOUT) != 0, PQconsumeInput(handle) == 0 { throw lost() }
        }
    }

    /// Closes the connection and says why it is gone, in libpq's words.
    package func lost() -> DatabaseError {
        let reason = handle.map { String(cString: PQerrorMessage($0)).oneLine } ?? ""
        close()
        return error(.connectionLost(reason: reason.isEmpty ? "the server closed it" : reason))
    }
}
