// A stream of frames for tools: it may wait, but never longer than its deadline without progress.
//
// Replies are read while frames are written: a collector that refuses many frames must not end up waiting for a client
// that waits for it. Limit: `inboxBytesMax` of replies are kept.

import Glibc
import LinuxSystem

/// What a collector says on a connection.
public enum CollectorReply: Equatable, Sendable {
    case welcome(WelcomeFrame)
    case acknowledgement(AcknowledgementFrame)
    /// A frame that was not taken, and its sequence.
    case refusal(RefusalFrame, sequence: UInt64)
    case receipt(ReceiptFrame)
}

/// A connection to a collector. Not shared between threads.
public struct TCPTransport: ~Copyable {
    public let address: CollectorAddress
    /// How long a call waits without progress.
    public let timeoutMilliseconds: Int32
    public private(set) var statistics = SendStatistics()

    private let socket: Socket
    private var inbox: [UInt8] = []
    /// How much of the inbox was taken already.
    private var inboxStart = 0
    private var hasEnded = false

    /// Replies that were not asked for yet, in bytes: while so many wait, no more are read.
    private static let inboxBytesMax = 2 * FrameLimits.frameBytesMax
    private static let readBytesMax = 65_536

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
    /// - Throws: when the connection broke or nothing moved until the deadline. Then it is not known what arrived.
    public mutating func write(_ frames: RawSpan, frameCount: Int, recordCount: Int) throws(ClientError) {
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
            let listens = inbox.count - inboxStart < Self.inboxBytesMax && !hasEnded
            let events = try wait(for: POLLOUT | (listens ? POLLIN : 0), "writing to \(address)")
            if events & POLLIN != 0, listens { try readSome() }
        }
        statistics.frames += UInt64(frameCount)
        statistics.records += UInt64(recordCount)
        statistics.bytes += UInt64(sent)
    }

    /// Tells the collector that no more frames come: it answers with a receipt.
    public mutating func finishWriting() throws(ClientError) {
        _ = try call { () throws(SystemCallError) in
            try systemCall("shutdown", object: "\(address)") { Int(shutdown(socket.descriptor, Int32(SHUT_WR))) }
        }
    }

    /// The next reply, waited for; nil when the collector has closed the connection. Frames of other types are passed
    /// over.
    public mutating func nextReply() throws(ClientError) -> CollectorReply? {
        while true {
            if let reply = try takeReply() { return reply }
            if hasEnded { return nil }
            _ = try wait(for: POLLIN, "a reply from \(address)")
            try readSome()
        }
    }

    private mutating func readSome() throws(ClientError) {
        // The whole array is the target: what is behind the received bytes is cut off again.
        var chunk = [UInt8](repeating: 0, count: Self.readBytesMax)
        let result = try call { () throws(SystemCallError) in
            try systemCall("recv", object: "\(address)") {
                chunk.withUnsafeMutableBytes { recv(socket.descriptor, $0.baseAddress, $0.count, 0) }
            }
        }
        guard case .value(let count) = result else { return }
        if count == 0 { hasEnded = true }
        inbox.removeFirst(inboxStart)
        inboxStart = 0
        inbox += chunk[..<count]
    }

    /// The reply at the front of the inbox, if it is there as a whole.
    private mutating func takeReply() throws(ClientError) -> CollectorReply? {
        while inbox.count - inboxStart >= FrameHeader.lengthMin {
            let length: Int
            let reply: CollectorReply?
            do throws(FrameError) {
                let rest = inbox.span.bytes.extracting(inboxStart..<inbox.count)
                length = try FrameHeader.read(rest).frameLength
                guard rest.byteCount >= length else { break }
                let header = try FrameHeader.admit(rest)
                reply = try CollectorReply(frame: rest, header: header)
            } catch {
                throw .badReply(error)
            }
            inboxStart += length
            if let reply { return reply }
        }
        let left = inbox.count - inboxStart
        if hasEnded, left > 0 { throw .badReply(FrameError(.truncatedHeader, at: left)) }
        return nil
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
            throw error.code == EPIPE || error.code == ECONNRESET ? .closed(address) : .system(error)
        }
    }
}

extension CollectorReply {
    /// Reads an admitted frame; nil when it is none that a collector sends.
    init?(frame: RawSpan, header: FrameHeader) throws(FrameError) {
        switch header.type {
        case .welcome: self = .welcome(try WelcomeFrame(frame: frame, header: header))
        case .acknowledgement: self = .acknowledgement(try AcknowledgementFrame(frame: frame, header: header))
        case .refusal:
            self = .refusal(try RefusalFrame(frame: frame, header: header), sequence: header.identity.sequence)
        case .receipt: self = .receipt(try ReceiptFrame(frame: frame, header: header))
        case .records, .heartbeat: return nil
        }
    }
}
