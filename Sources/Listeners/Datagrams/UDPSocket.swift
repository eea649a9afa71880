// One UDP socket: opened, bound, and asked for its buffer and its drops.

import CLinux
import Glibc
import LinuxSystem

/// A bound, non-blocking UDP socket. Closed when it goes.
struct UDPSocket: ~Copyable, Sendable {
    let descriptor: Int32
    let localAddress: ListenAddress
    /// What the kernel granted.
    let receiveBufferBytes: Int

    init(address: ListenAddress, sharesPort: Bool, receiveBufferBytes: Int) throws(ListenerError) {
        func checked(_ call: StaticString, _ body: () -> Int32) throws(ListenerError) -> Int32 {
            do throws(SystemCallError) {
                return Int32(try checkedCall(call, object: "\(address)") { Int(body()) })
            } catch {
                throw ListenerError(error, address: address)
            }
        }
        let descriptor = try checked("socket") { spillway_udp_socket(address.ip.isIPv6 ? 1 : 0, sharesPort ? 1 : 0) }
        do throws(ListenerError) {
            let requested = Int32(clamping: receiveBufferBytes)
            let granted = try checked("setsockopt(SO_RCVBUF)") { spillway_set_receive_buffer(descriptor, requested) }
            var system = PeerAddress(ip: address.ip, port: address.port).systemAddress
            _ = try checked("bind") { spillway_udp_bind(descriptor, &system) }
            _ = try checked("getsockname") { spillway_udp_local_address(descriptor, &system) }
            localAddress = ListenAddress(ip: address.ip, port: system.port)
            self.receiveBufferBytes = Int(granted)
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// The kernel's drop total now, modulo 2^32.
    func drops() throws(SystemCallError) -> UInt32 {
        var drops: UInt32 = 0
        try checkedCall("getsockopt(SO_MEMINFO)") { Int(spillway_udp_drops(descriptor, &drops)) }
        return drops
    }

    /// From now on the kernel drops, and counts, what arrives: what is queued can be read to its end.
    func refuseArrivals() throws(SystemCallError) {
        try checkedCall("setsockopt(SO_ATTACH_FILTER)") { Int(spillway_udp_refuse_arrivals(descriptor)) }
    }
}
