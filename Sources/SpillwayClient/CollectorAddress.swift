// Where the collector listens: udp://127.0.0.1:8127, tcp://collector.internal:8127, udp://[::1]:8127.

/// The address of a collector.
public struct CollectorAddress: Hashable, Sendable, CustomStringConvertible {
    /// How frames travel.
    public enum Transport: String, Sendable {
        case udp, tcp
    }

    public var transport: Transport
    /// A name, or an address without brackets.
    public var host: String
    public var port: UInt16

    /// Where a collector listens unless it is told otherwise.
    public static let portDefault: UInt16 = 8_127

    public init(transport: Transport, host: String, port: UInt16 = portDefault) {
        self.transport = transport
        self.host = host
        self.port = port
    }

    /// Reads `udp://HOST:PORT` or `tcp://HOST:PORT`; IPv6 addresses stand in brackets; without a port it is 8127.
    ///
    /// - Throws: `invalidAddress`.
    public init(_ text: String) throws(ClientError) {
        guard text.hasPrefix("udp://") || text.hasPrefix("tcp://"),
            let transport = Transport(rawValue: String(text.prefix(3)))
        else { throw .invalidAddress(text) }
        guard let (host, port) = Self.hostAndPort(text.dropFirst(6), portDefault: Self.portDefault) else {
            throw .invalidAddress(text)
        }
        self.init(transport: transport, host: host, port: port)
    }

    /// Splits `HOST:PORT`, `[IPV6]:PORT` or the same without a port; nil when it is none of these.
    public static func hostAndPort(_ text: Substring, portDefault: UInt16) -> (host: String, port: UInt16)? {
        var host = text
        var rest = Substring()
        if text.first == "[" {
            guard let close = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<close]
            rest = text[text.index(after: close)...]
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            rest = text[colon...]
        }
        guard !host.isEmpty, !host.contains("/") else { return nil }
        if rest.isEmpty { return (String(host), portDefault) }
        guard rest.first == ":", let port = UInt16(rest.dropFirst()), port > 0 else { return nil }
        return (String(host), port)
    }

    public var description: String {
        "\(transport.rawValue)://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }
}
