// A collector over TCP and UDP that keeps the values of points in memory, each frame once, and acknowledges at once.

import Glibc
import LinuxSystem
import Synchronization

@testable import SpillwayClient

/// Takes any number of connections, and datagrams, on one port. One thread serves all of them.
final class MemoryCollector: Sendable {
    struct Log {
        /// The values of the records of each frame, by session and sequence.
        var frames: [UInt64: [UInt64: [Double]]] = [:]
        /// Of each session, what its welcome reports.
        var acknowledged: [UInt64: SequenceRanges] = [:]
        /// The last heartbeat of each session.
        var totals: [UInt64: HeartbeatFrame] = [:]
        var heartbeats = 0
        var connections = 0
        var duplicates = 0
        /// Where a frame came again with other records.
        var conflicts = 0

        var values: [Double] { frames.values.flatMap { $0.values.flatMap(\.self) } }
        var records: Int { frames.values.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.count } } }
    }

    struct Behavior: Sendable {
        /// As collectors do that know the rule of heartbeats.
        var answersHeartbeats = true
        /// Whether a frame of a session is acknowledged; it is stored in any case.
        var acknowledges: @Sendable (_ sequence: UInt64) -> Bool = { _ in true }
    }

    let port: UInt16
    private let state: State
    private let thread: NamedThread

    private final class State: Sendable {
        let log = Mutex(Log())
        let behavior: Behavior
        let isStopping = Atomic(false)
        init(_ behavior: Behavior) { self.behavior = behavior }
    }

    init(ip: [UInt8] = [127, 0, 0, 1], port: UInt16 = 0, _ behavior: Behavior = Behavior()) throws {
        let (listener, datagrams) = try Self.sockets(ip, port)
        self.port = listener.port
        let state = State(behavior)
        self.state = state
        thread = try NamedThread(name: "collector") { Self.serve(listener, datagrams, state) }
    }

    /// Both with one port. A free one for connections may be taken for datagrams: then another one is tried.
    private static func sockets(_ ip: [UInt8], _ port: UInt16) throws -> (TestSocket, TestSocket) {
        var tries = 0
        while true {
            let listener = try TestSocket(SOCK_STREAM, ip: ip, port: port)
            do {
                return (listener, try TestSocket(SOCK_DGRAM, ip: ip, port: listener.port))
            } catch {
                tries += 1
                if port > 0 || tries == 20 { throw error }
            }
        }
    }

    var log: Log { state.log.withLock { $0 } }
    var address: CollectorAddress { CollectorAddress(transport: .tcp, host: "127.0.0.1", port: port) }
    var udp: CollectorAddress { CollectorAddress(transport: .udp, host: "127.0.0.1", port: port) }

    /// Ends the thread and closes everything.
    func stop() -> Log {
        state.isStopping.store(true, ordering: .releasing)
        thread.join()
        return log
    }

    private struct Connection {
        let descriptor: Int32
        var bytes: [UInt8] = []
        var welcomed: Set<UInt64> = []
    }

    private static func serve(_ listener: TestSocket, _ datagrams: TestSocket, _ state: State) {
        var connections: [Connection] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        while !state.isStopping.load(ordering: .acquiring) {
            let all = [listener.descriptor, datagrams.descriptor] + connections.map(\.descriptor)
            var entries = all.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&entries, nfds_t(entries.count), 20) > 0 else { continue }
            for index in connections.indices.reversed() where entries[index + 2].revents != 0 {
                let count = recv(connections[index].descriptor, &buffer, buffer.count, 0)
                if count > 0 {
                    connections[index].bytes += buffer[..<count]
                    if take(&connections[index], state) { continue }
                }
                close(connections[index].descriptor)
                connections.remove(at: index)
            }
            if entries[1].revents != 0 {
                let count = recv(datagrams.descriptor, &buffer, buffer.count, 0)
                if count > 0, let header = header(buffer[..<count]) { _ = note(header, Array(buffer[..<count]), state) }
            }
            if entries[0].revents != 0 {
                let accepted = accept(listener.descriptor, nil, nil)
                if accepted >= 0 {
                    connections.append(Connection(descriptor: accepted))
                    state.log.withLock { $0.connections += 1 }
                }
            }
        }
        for connection in connections { close(connection.descriptor) }
    }

    private static func header(_ bytes: ArraySlice<UInt8>) -> FrameHeader? {
        do throws(FrameError) {
            let held = Array(bytes)
            return try FrameHeader.admit(held.span.bytes)
        } catch {
            return nil
        }
    }

    /// - Returns: false when the connection is broken.
    private static func take(_ connection: inout Connection, _ state: State) -> Bool {
        var start = 0
        var replies: [UInt8] = []
        while let header = header(connection.bytes[start...]) {
            let frame = Array(connection.bytes[start..<start + header.frameLength])
            start += header.frameLength
            let identity = FrameIdentity(source: header.identity.source, session: header.identity.session)
            let known = note(header, frame, state)
            guard header.type == .records else {
                if connection.welcomed.insert(identity.session).inserted {
                    replies += WelcomeFrame(
                        frameBytesMax: 1_048_576, recordsPerFrameMax: 16_384, durable: known
                    ).encoded(identity)
                }
                if state.behavior.answersHeartbeats {
                    replies += AcknowledgementFrame(durable: SequenceRanges()).encoded(identity)
                }
                continue
            }
            let sequence = header.identity.sequence
            guard state.behavior.acknowledges(sequence) else { continue }
            replies += AcknowledgementFrame(durable: SequenceRanges([sequence..<sequence + 1])).encoded(identity)
        }
        connection.bytes.removeFirst(start)
        return replies.isEmpty
            || send(connection.descriptor, replies, replies.count, Int32(MSG_NOSIGNAL)) == replies.count
    }

    /// - Returns: what a welcome of the session reports.
    private static func note(_ header: FrameHeader, _ bytes: [UInt8], _ state: State) -> SequenceRanges {
        state.log.withLock { log in
            let session = header.identity.session
            do throws(FrameError) {
                if header.type == .heartbeat {
                    log.heartbeats += 1
                    log.totals[session] = try HeartbeatFrame(frame: bytes.span.bytes, header: header)
                } else {
                    var decoder = FrameDecoder()
                    var collector = RecordCollector()
                    try decoder.decode(bytes.span.bytes, header: header, &collector)
                    let values = collector.records.flatMap(\.values).compactMap { value -> Double? in
                        if case .float64(let number)? = value { number } else { nil }
                    }
                    let before = log.frames[session, default: [:]].updateValue(
                        values, forKey: header.identity.sequence)
                    if state.behavior.acknowledges(header.identity.sequence) {
                        log.acknowledged[session, default: SequenceRanges()].insert(header.identity.sequence)
                    }
                    if let before {
                        log.duplicates += 1
                        if before != values { log.conflicts += 1 }
                    }
                }
            } catch {
                log.conflicts += 1
            }
            var known = log.acknowledged[session, default: SequenceRanges()]
            return known.takeFirst(FrameLimits.rangesMax)
        }
    }
}
