// The one owner of a socket descriptor on the client's side.

import Glibc
import LinuxSystem

/// A socket that is closed when its owner goes.
package struct Socket: ~Copyable {
    package let descriptor: Int32

    deinit { close(descriptor) }

    init(owning descriptor: Int32) { self.descriptor = descriptor }

    /// A non-blocking socket of an address's family, not connected.
    init(for address: HostAddress) throws(SystemCallError) {
        let type = address.socketType | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        descriptor = Int32(
            try checkedCall("socket") { Int(socket(address.family, type, address.socketProtocol)) })
    }

    /// Waits until a socket is connected to the first of the host's addresses that works.
    ///
    /// - Parameter timeoutMilliseconds: for all addresses together. The name's resolution comes before it.
    package static func connected(to address: CollectorAddress, timeoutMilliseconds: Int32) throws(ClientError)
        -> Socket
    {
        var attempt = ConnectionAttempt(
            to: address, candidates: try HostAddress.all(of: address), timeoutMilliseconds: timeoutMilliseconds)
        while true {
            if let connected = try attempt.advance(waitMilliseconds: .max) { return connected }
        }
    }

    /// - Returns: which events came; 0 when the time is over.
    package func wait(for events: Int32, timeoutMilliseconds: Int32) throws(SystemCallError) -> Int32 {
        try Self.wait(descriptor, for: events, timeoutMilliseconds: timeoutMilliseconds)
    }

    /// The same for the owner of a socket that cannot lend it.
    static func wait(
        _ descriptor: Int32, for events: Int32, timeoutMilliseconds: Int32
    ) throws(SystemCallError) -> Int32 {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        let ready = try checkedCall("poll") { Int(poll(&entry, 1, timeoutMilliseconds)) }
        return ready > 0 ? Int32(entry.revents) : 0
    }

    /// Small frames do not wait for the acknowledgement of the bytes before them (TCP_NODELAY), and a peer that has vanished is
    /// noticed while nothing is on its way (SO_KEEPALIVE). With bytes on their way the kernel's retransmission limit applies.
    /// TCP_USER_TIMEOUT is not set: it would also end a connection whose collector is alive and reads nothing, because its
    /// spill is full.
    func prepareStream() throws(SystemCallError) {
        let tcp = Int32(IPPROTO_TCP)
        try set(TCP_NODELAY, of: tcp, to: 1)
        try set(TCP_KEEPIDLE, of: tcp, to: Self.keepaliveIdleSeconds)
        try set(TCP_KEEPINTVL, of: tcp, to: Self.keepaliveIntervalSeconds)
        try set(TCP_KEEPCNT, of: tcp, to: Self.keepaliveProbes)
        try set(SO_KEEPALIVE, of: SOL_SOCKET, to: 1)
    }

    private static let keepaliveIdleSeconds: Int32 = 15
    private static let keepaliveIntervalSeconds: Int32 = 5
    private static let keepaliveProbes: Int32 = 4

    private func set(_ option: Int32, of level: Int32, to value: Int32) throws(SystemCallError) {
        var value = value
        try checkedCall("setsockopt") {
            Int(setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)))
        }
    }

    func pendingError() throws(SystemCallError) -> Int32 { try Self.pendingError(descriptor) }

    /// The same for the owner of a socket that cannot lend it.
    static func pendingError(_ descriptor: Int32) throws(SystemCallError) -> Int32 {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        try checkedCall("getsockopt") { Int(getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)) }
        return code
    }
}
