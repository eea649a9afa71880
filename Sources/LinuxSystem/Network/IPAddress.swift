// Internet addresses as numbers: compared, counted and copied without a reference.

import CLinux
import Glibc

/// An IPv4 or IPv6 address.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    public let isIPv6: Bool
    /// The first eight bytes of an IPv6 address; 0 for IPv4.
    package let high: UInt64
    /// The last eight bytes, or the four of IPv4.
    package let low: UInt64

    public static let loopback = IPAddress(isIPv6: false, high: 0, low: 0x7F00_0001)
    public static let loopbackIPv6 = IPAddress(isIPv6: true, high: 0, low: 1)

    package init(isIPv6: Bool, high: UInt64, low: UInt64) {
        self.isIPv6 = isIPv6
        self.high = high
        self.low = low
    }

    /// Reads the numeric form: `192.0.2.1` or `2001:db8::1`, without brackets or zone.
    public init?(_ text: String) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(isIPv6: false, high: 0, low: UInt64(UInt32(bigEndian: four.s_addr)))
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            self.init(sixBytes: six)
        } else {
            return nil
        }
    }

    package init(sixBytes: in6_addr) {
        let (high, low) = withUnsafeBytes(of: sixBytes) { bytes in
            (
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        self.init(isIPv6: true, high: high, low: low)
    }

    /// 127.0.0.0/8 or ::1: only programs on this machine can send to it.
    public var isLoopback: Bool {
        isIPv6 ? high == 0 && low == 1 : low >> 24 == 127
    }

    /// The numeric form, without brackets.
    public var description: String {
        let lengthMax = 46  // INET6_ADDRSTRLEN
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: lengthMax) { text in
            text.initialize(repeating: 0)
            if isIPv6 {
                var words = (high.bigEndian, low.bigEndian)
                inet_ntop(AF_INET6, &words, text.baseAddress, socklen_t(lengthMax))
            } else {
                var word = UInt32(truncatingIfNeeded: low).bigEndian
                inet_ntop(AF_INET, &word, text.baseAddress, socklen_t(lengthMax))
            }
            return text.baseAddress.map { String(cString: $0) } ?? ""
        }
    }
}

/// Who sent something: an address and a port.
public struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
    public let ip: IPAddress
    public let port: UInt16

    public init(ip: IPAddress, port: UInt16) {
        self.ip = ip
        self.port = port
    }

    /// Of frames that nobody sent to this run.
    package static let nobody = PeerAddress(ip: IPAddress(isIPv6: false, high: 0, low: 0), port: 0)

    /// Nil where no sender is known.
    package var known: PeerAddress? { self == Self.nobody ? nil : self }

    /// For example `192.0.2.1:8127` or `[2001:db8::1]:8127`.
    public var description: String { ip.isIPv6 ? "[\(ip)]:\(port)" : "\(ip):\(port)" }
}

extension PeerAddress {
    package init(_ address: spillway_address) {
        self.init(
            ip: IPAddress(isIPv6: address.is_ipv6 != 0, high: address.high, low: address.low), port: address.port)
    }

    package var systemAddress: spillway_address {
        spillway_address(high: ip.high, low: ip.low, port: port, is_ipv6: ip.isIPv6 ? 1 : 0)
    }
}
