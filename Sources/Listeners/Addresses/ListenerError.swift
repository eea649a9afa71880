// Why a listener did not start: one line that says what, where, and what to do.

import FrameRing
import Glibc
import LinuxSystem

/// A listener that could not start.
package enum ListenerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not on loopback, and nothing vouches for who sends.
    case unauthenticated(ListenAddress)
    /// Another program listens there.
    case addressInUse(ListenAddress)
    /// A port that needs a privilege.
    case notPermitted(ListenAddress)
    /// Not an address of this machine.
    case addressNotAvailable(ListenAddress)
    /// IPv6, say, is switched off.
    case familyNotSupported(ListenAddress)
    /// The largest frame does not fit in a claim of the ring.
    case ringTooSmall(capacityBytes: Int, neededBytes: Int)
    case system(SystemCallError)
    case other(ListenAddress, String)

    package var description: String {
        switch self {
        case .unauthenticated(let address):
            """
            \(address) is not a loopback address, and without keys anybody who reaches it can send: \
            listen on 127.0.0.1 or [::1], or allow it with --allow-unauthenticated
            """
        case .addressInUse(let address):
            """
            \(address) is in use: another program listens there (`ss -lntup 'sport = :\(address.port)'` shows it); \
            stop it or choose another port
            """
        case .notPermitted(let address):
            """
            no permission to listen on \(address): ports below 1024 need CAP_NET_BIND_SERVICE; \
            choose a higher port or grant it
            """
        case .addressNotAvailable(let address):
            "\(address.ip) is not an address of this machine (`ip address` lists them): listen on one that is"
        case .familyNotSupported(let address):
            "this machine has no \(address.ip.isIPv6 ? "IPv6" : "IPv4"): \(address) needs it"
        case .ringTooSmall(let capacityBytes, let neededBytes):
            "a ring of \(capacityBytes) bytes cannot hold the largest frame: give it at least \(neededBytes)"
        case .system(let error):
            "cannot listen: \(error)"
        case .other(let address, let text):
            "cannot listen on \(address): \(text)"
        }
    }
}

extension ListenerError {
    /// - Parameter code: the `errno` of a socket's set-up.
    package init(call: String, code: Int32, address: ListenAddress) {
        switch code {
        case EADDRINUSE: self = .addressInUse(address)
        case EACCES, EPERM: self = .notPermitted(address)
        case EADDRNOTAVAIL: self = .addressNotAvailable(address)
        case EAFNOSUPPORT: self = .familyNotSupported(address)
        default: self = .system(SystemCallError(call: call, code: code, object: "\(address)"))
        }
    }

    init(_ error: SystemCallError, address: ListenAddress) {
        self.init(call: error.call, code: error.code, address: address)
    }

    /// What every listener checks before it opens a socket.
    static func check(
        _ address: ListenAddress, allowUnauthenticated: Bool, ring: FrameRing, frameBytesMax: Int
    ) throws(ListenerError) {
        guard address.isLoopback || allowUnauthenticated else { throw .unauthenticated(address) }
        // A claim has headers beside the frame; a kilobyte is room enough for those of one frame.
        let claimBytes = frameBytesMax + 1_024
        guard ring.claimBytesMaximum >= claimBytes else {
            var capacityBytes = FrameRing.capacityBytesMinimum
            while capacityBytes / FrameRing.claimsPerCapacityMinimum < claimBytes { capacityBytes *= 2 }
            throw .ringTooSmall(capacityBytes: ring.capacityBytes, neededBytes: capacityBytes)
        }
    }
}
