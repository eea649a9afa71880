// A stream of frames for tools: it may wait, but never longer than its deadline without progress.
//
// Replies are read while frames are written: a collector that refuses many frames must not end up waiting for a client
// that waits for it. Limit: `inboxBytesMax` of replies are kept.

import Glibc
import LinuxSystem

/// A connection to a collector. Not shared between threads.
public struct TCPTransport: ~Copyable {
    public let address: CollectorAddress
    /// How long a call waits without progress.
    public let timeoutMilliseconds: Int32
    public private(set) var statistics = SendStatistics()

    private let socket: Socket
    private var inbox = ReplyInbox()
    private var hasEnded = false

    /// Replies that were not asked for yet, in bytes: while so many wait, no more are read.
    private static let inboxBytesMax = 2 * FrameLimits.frameBytesMax

    /// Connects.
    ///
    /// - Throws: when the host is unknown, nobody listens, or the time is over.
    public init(to address: CollectorAddress, timeoutMilliseconds: Int32 = 10_000) throws(ClientError) {
        self.address = address
        self.timeoutMilliseconds = timeoutMilliseconds
        socket = try Socket.connected(to: address, timeoutMilliseconds: timeoutMilliseconds)
    }

    /// Writes whole frames.
    ///
    /// - Parameters:
    ///   - frameCount: how many record frames these are, and `recordCount` their records, for the statistics.
    ///   - controlBytes: the bytes of other frames among them.
    /// - Throws: when the connection broke or nothing moved until the deadline. Then it is not known what arrived.
    public mutating func write(
        _ frames: RawSpan, frameCount: Int, recordCount: Int, controlBytes: Int = 0
    ) throws(ClientError) {
        var sent = 0
        while sent < frames.byteCount {
            let result = try call { () throws(SystemCallError) in
                try systemCall("send", object: "\(address)") {
                    frames.withUnsafeBytes { bytes in
                        let rest = UnsafeRawBufferPointer(rebasing: bytes[sent...])
                        return Glibc.send(socket.descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                    }
                }
            }
            if case .value(let count) = result {
                sent += count
                continue
            }
            let listens = inbox.byteCount < Self.inboxBytesMax && !hasEnded
            let events = try wait(for: POLLOUT | (listens ? POLLIN : 0), "writing to \(address)")
            if events & POLLIN != 0, listens { try readSome() }
        }
        statistics.frames += UInt64(frameCount)
        statistics.records += UInt64(recordCount)
        statistics.bytes += UInt64(sent - controlBytes)
    }

    /// Tells the collector that no more frames come: it answers with a receipt.
    public mutating func finishWriting() throws(ClientError) {
        _ = try call { () throws(SystemCallError) in
            try systemCall("shutdown", object: "\(address)") { Int(shutdown(socket.descriptor, Int32(SHUT_WR))) }
        }
    }

    /// The next reply, waited for; nil when the collector has closed the connection. Frames of other types, known or
    /// not, are passed over.
    public mutating func nextReply() throws(ClientError) -> CollectorReply? {
        while true {
            if let reply = try takeReply() { return reply }
            if hasEnded { return nil }
            _ = try wait(for: POLLIN, "a reply from \(address)")
            try readSome()
        }
    }

    private mutating func readSome() throws(ClientError) {
        let received: ReplyInbox.Received
        do throws(SystemCallError) {
            received = try inbox.receive(socket.descriptor, object: "\(address)")
        } catch {
            throw failure(error)
        }
        if received == .end { hasEnded = true }
    }

    /// The reply at the front of the inbox, if it is there as a whole.
    private mutating func takeReply() throws(ClientError) -> CollectorReply? {
        do throws(FrameError) {
            if let (reply, _) = try inbox.next() { return reply }
            if hasEnded, inbox.byteCount > 0 { throw FrameError(.truncatedHeader, at: inbox.byteCount) }
            return nil
        } catch {
            throw .badReply(error)
        }
    }

    private func wait(for events: Int32, _ what: @autoclosure () -> String) throws(ClientError) -> Int32 {
        let came = try call { () throws(SystemCallError) in
            try socket.wait(for: events, timeoutMilliseconds: timeoutMilliseconds)
        }
        guard came != 0 else { throw .timedOut(what(), milliseconds: timeoutMilliseconds) }
        return came
    }

    private func call<Value>(_ body: () throws(SystemCallError) -> Value) throws(ClientError) -> Value {
        do throws(SystemCallError) {
            return try body()
        } catch {
            throw failure(error)
        }
    }

    private func failure(_ error: SystemCallError) -> ClientError {
        error.code == EPIPE || error.code == ECONNRESET ? .closed(address) : .system(error)
    }
}
