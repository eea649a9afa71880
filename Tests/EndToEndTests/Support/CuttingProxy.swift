// A proxy before a PostgreSQL server that cuts connections at a message of the frontend's, before or behind it.

import Foundation
import LinuxSystem
import Synchronization
import TestSupport

/// Forwards TCP connections to a unix socket, each by a thread.
final class CuttingProxy: Sendable {
    private struct State {
        var generator: SeededGenerator
        var isCutting = false
        var isStopped = false
        var cuts = 0
        var cutsBehindCommit = 0
        /// Cuts since a COMMIT went through whole.
        var cutsInARow = 0
        var byMessage: [String: Int] = [:]
    }

    private static let cutsInARowMax = 6

    let port: UInt16
    private let listener: Int32
    private let target: String
    private let state: Mutex<State>

    init(target: String, seed: UInt64) throws {
        self.target = target
        state = Mutex(State(generator: SeededGenerator(seed: seed)))
        port = try Torture.freePort()
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(listener, 64) == 0 else { throw SystemCallError(call: "listen", code: errno) }
        _ = try NamedThread(name: "proxy") { [self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                do {
                    _ = try NamedThread(name: "proxied") { [self] in forward(client) }
                } catch { close(client) }
            }
        }
    }

    var cuts: Int { state.withLock { $0.cuts } }
    var cutsBehindCommit: Int { state.withLock { $0.cutsBehindCommit } }
    func beginCutting() { state.withLock { $0.isCutting = true } }
    func endCutting() { state.withLock { $0.isCutting = false } }

    func stop() {
        state.withLock { $0.isStopped = true }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    /// Whether the connection is cut at this message, and if so whether the message still goes to the server.
    private func cut(at message: [UInt8], isFirst: Bool) -> Bool? {
        state.withLock { state in
            let text = String(decoding: message.prefix(32), as: UTF8.self)
            let isCommit = text.contains("COMMIT")
            // A batch has some ten messages and one COMMIT.
            let odds = isCommit ? 4 : 16
            // A lane that was cut often waits long: a COMMIT now and then is let through, or nobody would be there to be cut.
            let isPardoned = state.cutsInARow >= Self.cutsInARowMax
            guard state.isCutting, !isPardoned, Int.random(in: 0..<odds, using: &state.generator) == 0 else {
                if isCommit { state.cutsInARow = 0 }
                return nil
            }
            let isBehind = Bool.random(using: &state.generator)
            state.cuts += 1
            state.cutsInARow += 1
            if isBehind, isCommit { state.cutsBehindCommit += 1 }
            state.byMessage[isFirst ? "startup" : String(UnicodeScalar(message[0])), default: 0] += 1
            return isBehind
        }
    }

    /// How often a connection was cut at each type of message.
    var cutsByMessage: [String: Int] { state.withLock { $0.byMessage } }

    private func forward(_ client: Int32) {
        defer { close(client) }
        let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(server) }
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: Array(target.utf8)) }
        let connected = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { return }
        var messages = MessageCutter()
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !state.withLock({ $0.isStopped }) {
            var entries = [
                pollfd(fd: client, events: Int16(POLLIN), revents: 0),
                pollfd(fd: server, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&entries, 2, 200) >= 0 else { return }
            if entries[1].revents != 0 {
                let count = recv(server, &buffer, buffer.count, 0)
                guard count > 0, Self.sendAll(client, buffer[..<count]) else { return }
            }
            guard entries[0].revents != 0 else { continue }
            let count = recv(client, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            messages.append(buffer[..<count])
            while let message = messages.next() {
                if let isBehind = cut(at: message, isFirst: messages.count == 1) {
                    if isBehind {
                        _ = Self.sendAll(server, message[...])
                        // The server must have read it, or it would see the end first.
                        usleep(2_000)
                    }
                    return
                }
                guard Self.sendAll(server, message[...]) else { return }
            }
        }
    }

    private static func sendAll(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}

/// Cuts the frontend's bytes into messages: the first has no type, and the rest have one.
private struct MessageCutter {
    private var bytes: [UInt8] = []
    private(set) var count = 0

    mutating func append(_ more: ArraySlice<UInt8>) { bytes += more }

    mutating func next() -> [UInt8]? {
        let header = count == 0 ? 0 : 1
        guard bytes.count >= header + 4 else { return nil }
        let length = bytes[header..<header + 4].reduce(0) { $0 << 8 | Int($1) } + header
        guard bytes.count >= length else { return nil }
        count += 1
        defer { bytes.removeFirst(length) }
        return Array(bytes[..<length])
    }
}
