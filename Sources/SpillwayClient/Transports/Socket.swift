// The one owner of a socket descriptor on the client's side.

import Glibc
import LinuxSystem

/// A socket that is closed when its owner goes.
package struct Socket: ~Copyable {
    package let descriptor: Int32

    deinit { close(descriptor) }

    private init(descriptor: Int32) { self.descriptor = descriptor }

    /// A non-blocking socket that is connected, or for TCP is about to be, to the first of the host's addresses that
    /// works. IPv4 comes first: a datagram to an IPv6 address where nobody listens is lost without a sign, and a
    /// collector listens on 127.0.0.1 unless it is told otherwise.
    package static func connected(to address: CollectorAddress, timeoutMilliseconds: Int32) throws(ClientError)
        -> Socket
    {
        let first = try lookUp(address)
        defer { freeaddrinfo(first) }
        let candidates = Array(sequence(first: first) { $0.pointee.ai_next })
        let ordered =
            candidates.filter { $0.pointee.ai_family == AF_INET }
            + candidates.filter { $0.pointee.ai_family != AF_INET }
        var lastError = ClientError.unresolvable(host: address.host, reason: "no address")
        for candidate in ordered {
            do throws(ClientError) {
                return try open(candidate.pointee, address, timeoutMilliseconds: timeoutMilliseconds)
            } catch {
                lastError = error
            }
        }
        throw lastError
    }

    /// Looks whether the host has an address at all.
    static func checkHost(of address: CollectorAddress) throws(ClientError) { freeaddrinfo(try lookUp(address)) }

    /// - Returns: a list that the caller frees.
    private static func lookUp(_ address: CollectorAddress) throws(ClientError) -> UnsafeMutablePointer<addrinfo> {
        var hints = addrinfo()
        hints.ai_socktype = Int32((address.transport == .udp ? SOCK_DGRAM : SOCK_STREAM).rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(address.host, "\(address.port)", &hints, &list)
        guard code == 0, let first = list else {
            throw .unresolvable(host: address.host, reason: String(cString: gai_strerror(code)))
        }
        return first
    }

    private static func open(
        _ info: addrinfo, _ address: CollectorAddress, timeoutMilliseconds: Int32
    ) throws(ClientError) -> Socket {
        do throws(SystemCallError) {
            let type = info.ai_socktype | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            let opened = try checkedCall("socket") { Int(socket(info.ai_family, type, info.ai_protocol)) }
            let result = Socket(descriptor: Int32(opened))
            // Not tried again after a signal: the connection goes on by itself, and `poll` tells how it ended.
            if connect(result.descriptor, info.ai_addr, info.ai_addrlen) != 0 {
                let code = errno
                guard code == EINPROGRESS || code == EINTR else {
                    throw SystemCallError(call: "connect", code: code, object: "\(address)")
                }
                guard try result.wait(for: POLLOUT, timeoutMilliseconds: timeoutMilliseconds) != 0 else {
                    throw SystemCallError(call: "connect", code: ETIMEDOUT, object: "\(address)")
                }
                let failure = try result.pendingError()
                guard failure == 0 else { throw SystemCallError(call: "connect", code: failure, object: "\(address)") }
            }
            if address.transport == .tcp { try result.sendAtOnce() }
            return result
        } catch {
            throw .system(error)
        }
    }

    /// - Returns: which events came; 0 when the time is over.
    package func wait(for events: Int32, timeoutMilliseconds: Int32) throws(SystemCallError) -> Int32 {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        let ready = try checkedCall("poll") { Int(poll(&entry, 1, timeoutMilliseconds)) }
        return ready > 0 ? Int32(entry.revents) : 0
    }

    /// Small frames do not wait for the acknowledgement of the bytes before them (TCP_NODELAY).
    private func sendAtOnce() throws(SystemCallError) {
        var on: Int32 = 1
        try checkedCall("setsockopt") {
            Int(setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size)))
        }
    }

    private func pendingError() throws(SystemCallError) -> Int32 {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        try checkedCall("getsockopt") { Int(getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)) }
        return code
    }
}
