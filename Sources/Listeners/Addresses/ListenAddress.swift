// Where a listener listens, as an operator writes it.

import LinuxSystem

/// An address of this machine and a port. Port 0 asks for a free one.
package struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
    package let ip: IPAddress
    package let port: UInt16

    package init(ip: IPAddress, port: UInt16) {
        self.ip = ip
        self.port = port
    }

    /// Reads `HOST:PORT`. HOST is an IPv4 address, an IPv6 address in brackets, or `localhost` for 127.0.0.1; a
    /// listener binds to an address of this machine, so names are not looked up.
    package init(parsing text: String) throws(ListenAddressError) {
        func invalid(_ advice: String) -> ListenAddressError { ListenAddressError(text: text, advice: advice) }
        guard let colon = text.lastIndex(of: ":") else {
            throw invalid("the port is missing; write HOST:PORT, for example 127.0.0.1:8127")
        }
        let host = text[..<colon]
        let portText = text[text.index(after: colon)...]
        ip = try Self.parse(host: host, invalid)
        guard !portText.isEmpty, portText.allSatisfy({ $0.isASCII && $0.isWholeNumber }), let port = UInt16(portText)
        else { throw invalid("the port '\(portText)' is not a number from 0 to 65535") }
        self.port = port
    }

    private static func parse(
        host: Substring, _ invalid: (String) -> ListenAddressError
    ) throws(ListenAddressError) -> IPAddress {
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { throw invalid("the bracket is not closed; write [::1]:8127") }
            let inner = host.dropFirst().dropLast()
            guard let ip = IPAddress(String(inner)), ip.isIPv6 else {
                throw invalid("'\(inner)' is not an IPv6 address (zones such as %eth0 are not supported)")
            }
            return ip
        }
        guard !host.isEmpty else {
            throw invalid("the host is missing; 0.0.0.0 stands for all IPv4 addresses and [::] for all of IPv6")
        }
        guard !host.contains(":") else { throw invalid("write an IPv6 address in brackets: [::1]:8127") }
        if host == "localhost" { return .loopback }
        guard let ip = IPAddress(String(host)) else {
            throw invalid("'\(host)' is not an IP address; names other than localhost are not looked up")
        }
        return ip
    }

    /// Whether only programs on this machine can reach it.
    package var isLoopback: Bool { ip.isLoopback }

    /// For example `127.0.0.1:8127` or `[::1]:8127`: what `init(parsing:)` reads.
    package var description: String { PeerAddress(ip: ip, port: port).description }
}

/// A text that is not an address to listen on.
package struct ListenAddressError: Error, Equatable, Sendable, CustomStringConvertible {
    package let text: String
    /// What is wrong, and what to write instead.
    package let advice: String

    package var description: String { "cannot listen on '\(text)': \(advice)" }
}
