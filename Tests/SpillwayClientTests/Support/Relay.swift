// A TCP relay between a client and a collector that forwards, swallows, freezes and cuts as a test wants it.

import Glibc
import LinuxSystem
import Synchronization

/// Relays connections on 127.0.0.1. One thread serves all of them.
final class Relay: Sendable {
    enum Mode: Int {
        case forward
        /// Reads everything and passes nothing on, in both directions.
        case swallow
        /// Reads nothing.
        case freeze
    }

    let port: UInt16
    private let state: State
    private let thread: NamedThread

    private final class State: Sendable {
        let mode = Atomic(Mode.forward.rawValue)
        let isStopping = Atomic(false)
        /// Connections that were accepted.
        let accepted = Atomic(0)
        /// Every connection is cut after this many bytes; 0 for none.
        let cutAfterBytes = Atomic(0)
    }

    private struct Pair {
        let client: Int32
        let collector: Int32
        var bytes = 0
    }

    /// - Parameter collector: its port on 127.0.0.1.
    init(to collector: UInt16) throws {
        let listener = try TestSocket(SOCK_STREAM)
        port = listener.port
        let state = State()
        self.state = state
        thread = try NamedThread(name: "relay") { Self.run(listener, collector, state) }
    }

    var accepted: Int { state.accepted.load(ordering: .relaxed) }
    func set(_ mode: Mode) { state.mode.store(mode.rawValue, ordering: .relaxed) }
    func cut(afterBytes bytes: Int) { state.cutAfterBytes.store(bytes, ordering: .relaxed) }

    func stop() {
        state.isStopping.store(true, ordering: .releasing)
        thread.join()
    }

    private static func run(_ listener: TestSocket, _ collector: UInt16, _ state: State) {
        var pairs: [Pair] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !state.isStopping.load(ordering: .acquiring) {
            let mode = Mode(rawValue: state.mode.load(ordering: .relaxed)) ?? .forward
            let events = mode == .freeze ? 0 : Int16(POLLIN)
            let all = [listener.descriptor] + pairs.flatMap { [$0.client, $0.collector] }
            var entries = all.enumerated().map { pollfd(fd: $1, events: $0 == 0 ? Int16(POLLIN) : events, revents: 0) }
            guard poll(&entries, nfds_t(entries.count), 10) > 0 else { continue }
            for index in pairs.indices.reversed() {
                let client = entries[1 + 2 * index].revents
                let other = entries[2 + 2 * index].revents
                if mode == .freeze { continue }
                var isOpen = true
                let limit = state.cutAfterBytes.load(ordering: .relaxed)
                if client != 0 { isOpen = move(&pairs[index], true, mode, limit, &buffer) }
                if isOpen, other != 0 { isOpen = move(&pairs[index], false, mode, limit, &buffer) }
                guard !isOpen else { continue }
                close(pairs[index].client)
                close(pairs[index].collector)
                pairs.remove(at: index)
            }
            if entries[0].revents != 0 {
                let client = accept(listener.descriptor, nil, nil)
                guard client >= 0 else { continue }
                state.accepted.add(1, ordering: .relaxed)
                let upstream = TestSocket.connect(port: collector)
                if upstream >= 0 { pairs.append(Pair(client: client, collector: upstream)) } else { close(client) }
            }
        }
        for pair in pairs {
            close(pair.client)
            close(pair.collector)
        }
    }

    /// - Returns: false when the pair has ended.
    private static func move(
        _ pair: inout Pair, _ fromClient: Bool, _ mode: Mode, _ limit: Int, _ buffer: inout [UInt8]
    ) -> Bool {
        let (from, to) = fromClient ? (pair.client, pair.collector) : (pair.collector, pair.client)
        let count = recv(from, &buffer, buffer.count, 0)
        guard count > 0 else { return false }
        pair.bytes += count
        guard mode == .forward else { return true }
        let isLast = limit > 0 && pair.bytes >= limit
        // The end of a connection comes within a frame as well as between two of them.
        let part = isLast ? max(1, count - Int.random(in: 0..<count)) : count
        guard send(to, buffer, part, Int32(MSG_NOSIGNAL)) == part else { return false }
        return !isLast
    }
}
