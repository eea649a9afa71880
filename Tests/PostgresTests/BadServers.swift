// Servers that are no help: one that says nothing, one that swallows packets, one that hangs up.

import Foundation
import LinuxSystem
import Synchronization
import TestSupport

@testable import Postgres

/// Takes connections and says nothing.
final class SilentServer {
    let port: UInt16
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        port = try bindToFreePort(descriptor)
        let descriptor = descriptor
        try checkedCall("listen") { Int(listen(descriptor, 8)) }
    }

    deinit { close(descriptor) }
}

/// Answers no attempt to connect: its queue is full, and the kernel drops what comes.
final class PacketSwallower {
    let port: UInt16
    private let listener: Int32
    private var fillers: [Int32] = []

    init() throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        port = try bindToFreePort(listener)
        let listener = listener
        try checkedCall("listen") { Int(listen(listener, 0)) }
        while fillers.count < 64 {
            if try !addConnection() { return }
        }
        throw MissingServer(description: "the kernel's queue has no end")
    }

    deinit { for descriptor in fillers + [listener] { close(descriptor) } }

    /// - Returns: whether the kernel took it.
    private func addConnection() throws -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        fillers.append(descriptor)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        withUnsafePointer(to: &address) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return try checkedCall("poll") { Int(poll(&entry, 1, 200)) } > 0
    }
}

/// Takes connections and closes them at once, as a proxy without a server behind it does.
final class HangUpServer {
    let port: UInt16
    private let descriptor: Int32
    private let thread: NamedThread

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        port = try bindToFreePort(descriptor)
        try checkedCall("listen") { Int(listen(descriptor, 8)) }
        thread = try NamedThread(name: "hang-up") {
            while true {
                let peer = accept(descriptor, nil, nil)
                guard peer >= 0 else { return }
                close(peer)
            }
        }
    }

    deinit {
        // Ends the wait for a connection.
        shutdown(descriptor, Int32(SHUT_RDWR))
        thread.join()
        close(descriptor)
    }
}
