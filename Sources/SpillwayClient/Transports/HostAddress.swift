// From the name of a host to its addresses.
//
// A name server that does not answer keeps `getaddrinfo` for as long as the resolver's settings say, and that call cannot be
// cancelled. `NameLookup` has it on a thread of its own, so that no other thread has to wait for it.

import Glibc
import LinuxSystem
import Synchronization

/// One address of a host, in the form that `connect` takes.
package struct HostAddress: Sendable {
    let family: Int32
    let socketType: Int32
    let socketProtocol: Int32
    /// A `sockaddr` of this family.
    let bytes: [UInt8]

    /// All addresses of a host, IPv4 first: a datagram to an IPv6 address that has no listener is lost without a sign, and a
    /// collector listens on 127.0.0.1 by default. May block.
    ///
    /// - Throws: `unresolvable`.
    package static func all(of address: CollectorAddress) throws(ClientError) -> [HostAddress] {
        switch lookUp(address, flags: AI_NUMERICSERV) {
        case .success(let found): return found
        case .failure(let code):
            throw .unresolvable(host: address.host, reason: String(cString: gai_strerror(code.value)))
        }
    }

    /// The address that a numeric host is; nil for a name. Does not block.
    static func numeric(_ address: CollectorAddress) -> [HostAddress]? {
        switch lookUp(address, flags: AI_NUMERICSERV | AI_NUMERICHOST) {
        case .success(let found): found
        case .failure: nil
        }
    }

    private struct ResolverCode: Error { let value: Int32 }

    private static func lookUp(
        _ address: CollectorAddress, flags: Int32
    ) -> Result<[HostAddress], ResolverCode> {
        var hints = addrinfo()
        hints.ai_socktype = Int32((address.transport == .udp ? SOCK_DGRAM : SOCK_STREAM).rawValue)
        hints.ai_flags = flags
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(address.host, "\(address.port)", &hints, &list)
        guard code == 0, let first = list else { return .failure(ResolverCode(value: code)) }
        defer { freeaddrinfo(first) }
        let found = sequence(first: first) { $0.pointee.ai_next }.map { HostAddress($0.pointee) }
        return .success(found.filter { $0.family == AF_INET } + found.filter { $0.family != AF_INET })
    }

    private init(_ info: addrinfo) {
        family = info.ai_family
        socketType = info.ai_socktype
        socketProtocol = info.ai_protocol
        bytes = Array(UnsafeRawBufferPointer(start: info.ai_addr, count: Int(info.ai_addrlen)))
    }

    /// Calls `connect` once.
    ///
    /// - Returns: 0, or the value of `errno`.
    func connect(_ descriptor: Int32) -> Int32 {
        bytes.withUnsafeBytes { bytes in
            let address = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return Glibc.connect(descriptor, address, socklen_t(bytes.count)) == 0 ? 0 : errno
        }
    }
}

/// How a client finds the addresses of a host: `HostAddress.all`, unless a test has another way. May block.
package typealias HostResolver = @Sendable (CollectorAddress) throws(ClientError) -> [HostAddress]

/// One call of a resolver on a thread of its own, which ends by itself: it can be left alone at any time.
final class NameLookup: Sendable {
    private let outcome = Mutex<Result<[HostAddress], ClientError>?>(nil)
    private let ended: WakeEvent

    /// - Throws: when the kernel has no room for another thread or descriptor.
    init(of address: CollectorAddress, by resolver: @escaping HostResolver) throws(SystemCallError) {
        ended = try WakeEvent()
        let thread = try NamedThread(name: "metrics-resolve") { [self] in
            let result: Result<[HostAddress], ClientError>
            do throws(ClientError) {
                result = .success(try resolver(address))
            } catch {
                result = .failure(error)
            }
            outcome.withLock { $0 = result }
            ended.signal()
        }
        thread.detach()
    }

    /// What a client over UDP begins with: a numeric address at once, those of a name when they are found within
    /// `firstMilliseconds`. The rest is `AddressRefresh`'s.
    static func first(
        _ address: CollectorAddress, by resolver: @escaping HostResolver
    ) -> Result<[HostAddress], ClientError> {
        // Over TCP each connection finds the addresses by itself.
        if address.transport == .tcp { return .success([]) }
        if let numeric = HostAddress.numeric(address) { return .success(numeric) }
        do throws(SystemCallError) {
            return try NameLookup(of: address, by: resolver).result(waitMilliseconds: firstMilliseconds)
                ?? .failure(.unresolvable(host: address.host, reason: "no name server has answered yet"))
        } catch {
            return .failure(.system(error))
        }
    }

    /// A program that starts should not feel it; a resolver that works answers within a part of it.
    private static let firstMilliseconds: Int32 = 250

    /// Waits for the outcome, up to `waitMilliseconds`; nil when there is none by then.
    func result(waitMilliseconds: Int32) -> Result<[HostAddress], ClientError>? {
        ended.wait(timeoutMilliseconds: waitMilliseconds)
        return outcome.withLock { $0 }
    }
}
