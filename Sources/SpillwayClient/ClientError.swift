import LinuxSystem

/// Why a client could not be made, or why a connection does not go on.
public enum ClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The text is not `udp://HOST:PORT` or `tcp://HOST:PORT`.
    case invalidAddress(String)
    /// The transport does not do this: acknowledgements over UDP, for example.
    case unsupportedTransport(CollectorAddress)
    /// The resolver knows no such host.
    case unresolvable(host: String, reason: String)
    case system(SystemCallError)
    /// Nothing moved for so long.
    case timedOut(String, milliseconds: Int32)
    /// Records are dropped: `bytes` of frames, or 65,536 frames, wait for their acknowledgement.
    case noRoom(CollectorAddress, bytes: Int)
    /// The collector closed the connection before the work was done.
    case closed(CollectorAddress)
    /// The collector sent something that is not a frame.
    case badReply(FrameError)
    /// An environment variable has a value that it cannot have.
    case badSetting(name: String, value: String, expected: String)

    public var description: String {
        switch self {
        case .invalidAddress(let text):
            "\"\(text)\" is not a collector's address: expected udp://HOST:PORT or tcp://HOST:PORT, for example udp://127.0.0.1:8127"
        case .unsupportedTransport(let address):
            "\(address): expected an address with \(address.transport == .udp ? "tcp" : "udp")://"
        case .unresolvable(let host, let reason): "cannot resolve \(host): \(reason)"
        case .system(let error): "\(error)"
        case .timedOut(let what, let milliseconds): "\(what): no data moved for \(milliseconds) ms"
        case .noRoom(let address, let bytes):
            "\(address) does not acknowledge frames fast enough: \(bytes >> 20) MiB of them wait, and records are dropped"
        case .closed(let address): "\(address) closed the connection"
        case .badReply(let error): "the reply is not a frame: \(error)"
        case .badSetting(let name, let value, let expected): "\(name)=\(value): expected \(expected)"
        }
    }
}
