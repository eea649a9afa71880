// One connection after the other to a collector, with steps that do not wait longer than their caller says: finding the host's
// addresses, connecting, writing, reading.
//
// Limits: `ReplyInbox`'s for replies, and the control frames of one `queueControl`.

import Glibc
import LinuxSystem

/// The present connection, if there is one. Used by one thread.
struct CollectorConnection: ~Copyable {
    let address: CollectorAddress
    private let resolver: HostResolver
    private var lookup: NameLookup?
    private var attempt: ConnectionAttempt?
    private var socket: Socket?
    /// Of `socket`; -1 without one.
    private(set) var descriptor: Int32 = -1
    private var inbox = ReplyInbox()
    /// Control frames on their way: they go between frames of records.
    private var control: [UInt8] = []
    private var controlSent = 0

    /// For all addresses of the host together.
    private static let connectMilliseconds: Int32 = 5_000

    init(to address: CollectorAddress, resolver: @escaping HostResolver) {
        self.address = address
        self.resolver = resolver
    }

    var isOpen: Bool { descriptor >= 0 }
    var hasControl: Bool { !control.isEmpty }

    // MARK: Connecting

    /// Goes on with the next connection, waiting up to `waitMilliseconds`.
    ///
    /// - Returns: whether it is open now.
    /// - Throws: why it cannot be had; the next call begins again.
    mutating func connect(waitMilliseconds: Int) throws(ClientError) -> Bool {
        let wait = Int32(clamping: max(waitMilliseconds, 0))
        guard var current = attempt.take() else {
            guard let candidates = try candidates(waitMilliseconds: wait) else { return false }
            attempt = ConnectionAttempt(
                to: address, candidates: candidates, timeoutMilliseconds: Self.connectMilliseconds)
            return try connect(waitMilliseconds: waitMilliseconds)
        }
        guard let connected = try current.advance(waitMilliseconds: wait) else {
            attempt = consume current
            return false
        }
        descriptor = connected.descriptor
        socket = consume connected
        inbox = ReplyInbox()
        return true
    }

    /// The host's addresses; nil while they are looked up.
    private mutating func candidates(waitMilliseconds: Int32) throws(ClientError) -> [HostAddress]? {
        if let numeric = HostAddress.numeric(address) { return numeric }
        if lookup == nil {
            do throws(SystemCallError) {
                lookup = try NameLookup(of: address, by: resolver)
            } catch {
                throw .system(error)
            }
        }
        guard let result = lookup?.result(waitMilliseconds: waitMilliseconds) else { return nil }
        lookup = nil
        return try result.get()
    }

    /// Is open to another descriptor of this process from now on.
    ///
    /// - Returns: the other end.
    mutating func rehearse() throws(ClientError) -> Socket {
        var ends: [Int32] = [-1, -1]
        do throws(SystemCallError) {
            try checkedCall("socketpair") {
                let type = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
                return Int(socketpair(AF_UNIX, Int32(type), 0, &ends))
            }
        } catch {
            throw .system(error)
        }
        descriptor = ends[0]
        socket = Socket(owning: ends[0])
        return Socket(owning: ends[1])
    }

    mutating func close() {
        socket = nil
        descriptor = -1
        control = []
        controlSent = 0
    }

    /// Ends the writing side.
    ///
    /// - Returns: whether there is an answer to wait for.
    func finishWriting() -> Bool { isOpen && shutdown(descriptor, Int32(SHUT_WR)) == 0 }

    // MARK: Writing

    /// - Precondition: none is on its way.
    mutating func queueControl(_ frames: [UInt8]) {
        precondition(control.isEmpty)
        control = frames
    }

    /// Writes what is left of the control frames.
    ///
    /// - Returns: false when the socket takes no more.
    mutating func writeControl() throws(ClientError) -> Bool {
        // A copy of the reference, so that the count can change while the bytes are read.
        let frames = control
        while controlSent < frames.count {
            let rest = frames.span.bytes.extracting(controlSent..<frames.count)
            switch Self.send(rest, descriptor, address) {
            case .success(.wouldBlock): return false
            case .success(.value(let count)): controlSent += count
            case .failure(let error): throw .system(error)
            }
        }
        control = []
        controlSent = 0
        return true
    }

    /// Writes once. Static, so that the bytes can be those of the connection's owner.
    static func send(
        _ bytes: RawSpan, _ descriptor: Int32, _ address: CollectorAddress
    ) -> Result<CallResult, SystemCallError> {
        Result { () throws(SystemCallError) in
            try systemCall("send", object: "\(address)") {
                bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            }
        }
    }

    // MARK: Reading

    /// Waits for replies, or for room to write.
    ///
    /// - Returns: whether there is something to receive, or the connection has ended.
    func hasInput(waitMilliseconds: Int, wantsToWrite: Bool) throws(ClientError) -> Bool {
        var entry = pollfd(
            fd: descriptor, events: Int16(POLLIN | (wantsToWrite ? POLLOUT : 0)), revents: 0)
        do throws(SystemCallError) {
            try checkedCall("poll") { Int(poll(&entry, 1, Int32(clamping: waitMilliseconds))) }
        } catch {
            throw .system(error)
        }
        return Int32(entry.revents) & (POLLIN | POLLHUP | POLLERR) != 0
    }

    mutating func receive() throws(ClientError) -> ReplyInbox.Received {
        do throws(SystemCallError) {
            return try inbox.receive(descriptor, object: "\(address)")
        } catch {
            throw .system(error)
        }
    }

    /// The next whole reply, and the identity in its header.
    mutating func nextReply() throws(ClientError) -> (reply: CollectorReply, identity: FrameIdentity)? {
        do throws(FrameError) {
            return try inbox.next()
        } catch {
            throw .badReply(error)
        }
    }
}
