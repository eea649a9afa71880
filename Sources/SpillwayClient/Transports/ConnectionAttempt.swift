// Connecting in steps: each one waits for as long as its caller says, so that the caller can stop at any time.
//
// Limits: `timeoutMilliseconds` for all addresses of a host together, of which each address gets an equal share of what is
// left: an address that does not answer must not take the time of those after it.

import Glibc
import LinuxSystem

/// Tries the addresses of a host one after the other.
struct ConnectionAttempt: ~Copyable {
    private let address: CollectorAddress
    private let candidates: [HostAddress]
    private let deadlineNanoseconds: UInt64
    /// The candidate after the one that is being tried.
    private var next = 0
    /// That of the candidate that is being tried.
    private var socket: Socket?
    private var shareEndNanoseconds: UInt64 = 0
    private var lastError: ClientError

    init(to address: CollectorAddress, candidates: [HostAddress], timeoutMilliseconds: Int32) {
        self.address = address
        self.candidates = candidates
        deadlineNanoseconds = monotonicNanoseconds() &+ UInt64(max(timeoutMilliseconds, 0)) * 1_000_000
        lastError = .unresolvable(host: address.host, reason: "no address")
    }

    /// Goes on, waiting up to `waitMilliseconds`.
    ///
    /// - Returns: the connected socket; nil while the outcome is not known.
    /// - Throws: the last address's error when none works. Then the attempt has ended.
    mutating func advance(waitMilliseconds: Int32) throws(ClientError) -> Socket? {
        while true {
            do throws(SystemCallError) {
                if let begun = socket.take() {
                    if try isConnected(begun, waitMilliseconds: waitMilliseconds) { return begun }
                    socket = consume begun
                    return nil
                }
                guard next < candidates.count else { break }
                socket = try begin()
            } catch {
                lastError = .system(error)
            }
        }
        throw lastError
    }

    /// Begins with the next candidate.
    private mutating func begin() throws(SystemCallError) -> Socket {
        let candidate = candidates[next]
        let left = UInt64(candidates.count - next)
        next += 1
        let now = monotonicNanoseconds()
        shareEndNanoseconds = now &+ (deadlineNanoseconds > now ? (deadlineNanoseconds - now) / left : 0)
        let begun = try Socket(for: candidate)
        // Not called again after a signal: the connection goes on by itself, and `poll` reports its outcome.
        let code = candidate.connect(begun.descriptor)
        guard code == 0 || code == EINPROGRESS || code == EINTR else { throw connectError(code) }
        return begun
    }

    private func isConnected(
        _ begun: borrowing Socket, waitMilliseconds: Int32
    ) throws(SystemCallError) -> Bool {
        let now = monotonicNanoseconds()
        let left = shareEndNanoseconds > now ? (shareEndNanoseconds - now + 999_999) / 1_000_000 : 0
        let wait = min(max(waitMilliseconds, 0), Int32(clamping: left))
        guard try begun.wait(for: POLLOUT, timeoutMilliseconds: wait) != 0 else {
            guard monotonicNanoseconds() < shareEndNanoseconds else { throw connectError(ETIMEDOUT) }
            return false
        }
        let failure = try begun.pendingError()
        guard failure == 0 else { throw connectError(failure) }
        if address.transport == .tcp { try begun.prepareStream() }
        return true
    }

    private func connectError(_ code: Int32) -> SystemCallError {
        SystemCallError(call: "connect", code: code, object: "\(address)")
    }
}
