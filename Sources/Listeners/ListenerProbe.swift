// Asks the kernel whether an address can be listened on, before anything is started: a busy port must not be found only after the
// database was changed. What is asked is given back, so that the listener itself may still fail.

import CLinux
import Glibc
import LinuxSystem

/// Checks addresses without keeping them.
package enum ListenerProbe {
    /// Binds a socket to the address and closes it. Port 0 is always free.
    ///
    /// - Throws: what a listener would throw for the address.
    package static func datagrams(_ address: ListenAddress, allowUnauthenticated: Bool) throws(ListenerError) {
        guard address.isLoopback || allowUnauthenticated else { throw .unauthenticated(address) }
        // One that shares its port would be let in beside the socket of another collector.
        _ = try UDPSocket(address: address, sharesPort: false, receiveBufferBytes: 4_096)
    }

    /// The same for TCP.
    package static func streams(_ address: ListenAddress, allowUnauthenticated: Bool) throws(ListenerError) {
        guard address.isLoopback || allowUnauthenticated else { throw .unauthenticated(address) }
        do throws(SystemCallError) {
            let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            let descriptor = Int32(
                try checkedCall("socket", object: "\(address)") {
                    Int(socket(address.ip.isIPv6 ? AF_INET6 : AF_INET, type, 0))
                })
            defer { close(descriptor) }
            var yes: Int32 = 1
            let size = socklen_t(MemoryLayout<Int32>.size)
            // As the listener has it: connections of a run before do not count, a listener does.
            try checkedCall("setsockopt", object: "\(address)") {
                Int(setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, size))
            }
            var system = PeerAddress(ip: address.ip, port: address.port).systemAddress
            try checkedCall("bind", object: "\(address)") { Int(spillway_udp_bind(descriptor, &system)) }
        } catch {
            throw ListenerError(error, address: address)
        }
    }
}
