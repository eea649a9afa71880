// Plain clients: what a program in any language would do.

import Glibc
import LinuxSystem
import Synchronization

@testable import Listeners

/// A reader that is gone is an error of the call, not a signal.
private let sendFlags = Int32(truncatingIfNeeded: Int(MSG_NOSIGNAL))

/// A connected socket of a client. Calls block, but reads only so long as the time-out says.
final class ClientSocket: Sendable {
    enum Kind { case datagrams, stream }

    let descriptor: Int32

    /// - Parameter from: an address of this machine to send from.
    init(_ kind: Kind, to address: ListenAddress, from: IPAddress? = nil, sendBufferBytes: Int32? = nil) throws {
        let family = address.ip.isIPv6 ? AF_INET6 : AF_INET
        let type = kind == .datagrams ? SOCK_DGRAM.rawValue : SOCK_STREAM.rawValue
        let opened = socket(family, Int32(type), 0)
        descriptor = opened
        try checkedCall("socket") { Int(opened) }
        if var sendBufferBytes {
            try checkedCall("setsockopt") {
                Int(setsockopt(opened, SOL_SOCKET, SO_SNDBUF, &sendBufferBytes, 4))
            }
        }
        if let from {
            try Self.withSystemAddress(ListenAddress(ip: from, port: 0)) { pointer, length in
                try checkedCall("bind") { Int(bind(opened, pointer, length)) }
            }
        }
        try Self.withSystemAddress(address) { pointer, length in
            try checkedCall("connect", object: "\(address)") { Int(connect(opened, pointer, length)) }
        }
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        repeat {
            sent += try checkedCall("send") {
                bytes.withUnsafeBytes { all in
                    Glibc.send(
                        descriptor, all.baseAddress?.advanced(by: sent), all.count - sent, sendFlags)
                }
            }
        } while sent < bytes.count
    }

    /// Says that nothing more will come.
    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Everything until the other side closes; nil if it has not within the time. A reset counts as the end.
    func receiveToEnd(timeoutMilliseconds: Int32 = 10_000) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, timeoutMilliseconds) > 0 else { return nil }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return bytes }
            bytes += buffer[..<count]
        }
    }

    private static func withSystemAddress(
        _ address: ListenAddress, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
    ) throws {
        if address.ip.isIPv6 {
            var six = sockaddr_in6()
            six.sin6_family = sa_family_t(AF_INET6)
            six.sin6_port = address.port.bigEndian
            inet_pton(AF_INET6, "\(address.ip)", &six.sin6_addr)
            try withUnsafePointer(to: six) {
                try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    try body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        } else {
            var four = sockaddr_in()
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = address.port.bigEndian
            inet_pton(AF_INET, "\(address.ip)", &four.sin_addr)
            try withUnsafePointer(to: four) {
                try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    try body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }
}

/// A client's work on a thread of its own: it may block, which a task must not.
final class ClientThread: Sendable {
    private let thread: NamedThread
    private let failure: Failure

    init(_ body: @escaping @Sendable () throws -> Void) throws {
        let failure = Failure()
        thread = try NamedThread(name: "client") {
            do { try body() } catch { failure.error.withLock { $0 = error } }
        }
        self.failure = failure
    }

    /// Waits for the end of the work; once.
    func join() throws {
        thread.join()
        if let error = failure.error.withLock({ $0 }) { throw error }
    }

    private final class Failure: Sendable {
        let error = Mutex<(any Error)?>(nil)
    }
}
