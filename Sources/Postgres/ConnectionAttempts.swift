// The servers that a location names, each as an attempt of its own with its own deadline.
//
// libpq goes from host to host by itself, but not for us: PQconnectPoll ignores connect_timeout, so that one host that
// swallows packets takes all the time there is, and it does not go on behind a host that takes a connection and closes it.
// The rest of libpq's rules hold: the order of the hosts and of a name's addresses, `load_balance_hosts`,
// `target_session_attrs`, and that a server which refuses the user ends it.

import CPostgreSQL
import Glibc

/// How a location is connected to.
package struct ConnectionAttempts {
    /// Addresses beyond these are not tried.
    package static let attemptsMax = 32
    private static let shareMillisecondsMin = 2_000

    /// One server.
    package struct Attempt: Equatable {
        /// What goes before the location's keywords.
        var keywords: [String: String]
        /// The server for people; nil when it is the only one.
        var name: String?
    }

    private static let secondsMax = 86_400
    private(set) var attempts: [Attempt]
    /// The limit of each.
    package let milliseconds: Int

    package init(_ location: DatabaseLocation, _ options: ConnectionOptions) {
        let given = location.resolved()
        var found = Self.servers(given)
        if given["load_balance_hosts"] == "random" { found.shuffle() }
        if found.count > Self.attemptsMax { found.removeSubrange(Self.attemptsMax...) }

        var wanted = given["target_session_attrs"] ?? "any"
        if options.isForWriting, wanted == "any" { wanted = "read-write" }
        // The one value that takes two rounds.
        let rounds = wanted == "prefer-standby" ? ["standby", "any"] : [wanted]
        attempts = rounds.flatMap { round in
            found.map { Attempt(keywords: $0.merging(["target_session_attrs": round]) { $1 }, name: Self.name($0)) }
        }
        if attempts.count == 1 { attempts[0].name = nil }

        let limit = options.connectTimeoutMilliseconds
        if let seconds = given["connect_timeout"].flatMap({ Int($0) }), seconds > 0 {
            // libpq takes nothing below two.
            milliseconds = min(max(seconds, 2), Self.secondsMax) * 1_000
        } else {
            milliseconds = max(limit / max(1, attempts.count), min(limit, Self.shareMillisecondsMin))
        }
    }

    /// One entry for each address of each host.
    private static func servers(_ given: [String: String]) -> [[String: String]] {
        let (hosts, addresses, ports) = (list(given["host"]), list(given["hostaddr"]), list(given["port"]))
        let count = max(hosts.count, addresses.count)
        let fits = [hosts, addresses].allSatisfy { $0.isEmpty || $0.count == count }
        // Nothing to choose from, or lists that do not match, which libpq explains.
        guard count > 0, fits, ports.count <= 1 || ports.count == count else { return [[:]] }
        return (0..<count).flatMap { index -> [[String: String]] in
            let host = hosts.isEmpty ? "" : hosts[index]
            let address = addresses.isEmpty ? "" : addresses[index]
            let port = ports.isEmpty ? "" : ports[ports.count == 1 ? 0 : index]
            let resolved = address.isEmpty ? Self.addresses(of: host) : [address]
            // A name that is not known: libpq says so.
            return (resolved.isEmpty ? [""] : resolved).map { ["host": host, "hostaddr": $0, "port": port] }
        }
    }

    private static func list(_ text: String?) -> [String] {
        guard let text, !text.isEmpty else { return [] }
        return text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    private static func name(_ server: [String: String]) -> String {
        let (host, address) = (server["host"] ?? "", server["hostaddr"] ?? "")
        let base = host.isEmpty ? address : host
        let port = server["port"].flatMap { $0.isEmpty ? nil : $0 } ?? "5432"
        let shown = base.contains(":") ? "[\(base)]:\(port)" : "\(base):\(port)"
        return address.isEmpty || address == base ? shown : "\(shown) (\(address))"
    }

    /// Each address is tried for itself: the first may be the one that swallows packets. Empty for a socket's folder, for
    /// a name that is unknown, and for an address that needs no resolving.
    private static func addresses(of host: String) -> [String] {
        guard !host.isEmpty, !host.hasPrefix("/"), !host.hasPrefix("@") else { return [] }
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &first) == 0 else { return [] }
        defer { freeaddrinfo(first) }
        var found: [String] = []
        var entry = first
        while let info = entry {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let size = socklen_t(text.count)
            if getnameinfo(info.pointee.ai_addr, info.pointee.ai_addrlen, &text, size, nil, 0, NI_NUMERICHOST) == 0 {
                let address = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
                if !found.contains(address) { found.append(address) }
            }
            entry = info.pointee.ai_next
        }
        return found
    }
}

extension DatabaseLocation {
    /// The keywords with all that libpq would add from the service file, its PG* variables and its defaults.
    ///
    /// Only a connection knows what a service says: one is begun with an impossible `sslmode`, which libpq refuses before
    /// it looks for a host. A password is given so that no password file is read for it.
    package func resolved() -> [String: String] {
        var probe = keywords
        probe["sslmode"] = "none of these"
        probe["password"] = "-"
        guard let handle = startConnection(probe) else { return keywords }
        defer { PQfinish(handle) }
        guard let options = PQconninfo(handle) else { return keywords }
        defer { PQconninfoFree(options) }
        var found: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val, value.pointee != 0 {
                found[String(cString: keyword)] = String(cString: value)
            }
            option += 1
        }
        for hidden in ["sslmode", "password"] { found[hidden] = keywords[hidden] }
        return keywords.filter { !$0.value.isEmpty }.merging(found) { $1 }
    }
}

/// Begins a connection. Goes through a connection string and not through keyword arrays: these drop empty values, and an
/// empty value is the only way to hide a variable like PGHOSTADDR from libpq.
package func startConnection(_ keywords: [String: String]) -> OpaquePointer? {
    let settings = keywords.map { keyword, value in
        let escaped = value.flatMap { $0 == "'" || $0 == "\\" ? ["\\", $0] : [$0] }
        return "\(keyword)='\(String(escaped))'"
    }
    return PQconnectStart(settings.joined(separator: " "))
}
