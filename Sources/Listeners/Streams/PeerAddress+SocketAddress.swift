// The address of a channel's peer in the project's own type.

import Delivery
import LinuxSystem
import NIOCore

extension PeerAddress {
    /// Nil for what is not an internet address.
    init?(_ address: SocketAddress?) {
        switch address {
        case .v4(let four):
            let low = UInt64(UInt32(bigEndian: four.address.sin_addr.s_addr))
            self.init(
                ip: IPAddress(isIPv6: false, high: 0, low: low), port: UInt16(bigEndian: four.address.sin_port))
        case .v6(let six):
            self.init(ip: IPAddress(sixBytes: six.address.sin6_addr), port: UInt16(bigEndian: six.address.sin6_port))
        case .unixDomainSocket, nil:
            return nil
        }
    }
}
