// Datagrams, fire and forget: many with one system call, none waited for. What the kernel refuses is counted.
//
// Limits: `SPILLWAY_SEND_DATAGRAMS_MAX` datagrams wait at most; a datagram has at most `FrameLimits.datagramBytesMax`
// bytes. A socket whose address is lost is replaced by its owner, see `needsReopening`. Invariant: every frame that was appended is waiting, sent or dropped, and counted as such.

import CLinux
import Glibc
import LinuxSystem

/// Sends frames as datagrams, one frame each. Not shared between threads.
public struct UDPTransport: ~Copyable {
    public private(set) var statistics = SendStatistics()
    /// Why the last datagram was dropped, or answered with an error: that no program listens at the port, for example.
    public private(set) var lastError: SystemCallError?
    /// Records that wait for `send`.
    public private(set) var recordsWaiting = 0
    /// So many datagrams are sent together.
    public let batchSize: Int
    /// How long a full socket is waited for before its datagrams are dropped.
    public let waitMilliseconds: Int32

    /// An error that will not pass with this socket. Not that no program listens, nor that the socket is full.
    private(set) var needsReopening = false
    /// Why the host's addresses could not be found again.
    private(set) var resolverError: ClientError?

    private let address: CollectorAddress
    private var socket: Socket?
    /// Of `socket`; -1 without one.
    private var descriptor: Int32 = -1
    /// Signalled when `needsReopening` becomes true.
    private let reopening: WakeEvent?
    private var nextReopening: UInt64 = 0
    private static let reopenNanoseconds: UInt64 = 1_000_000_000
    private var bytes: [UInt8] = []
    private var lengths: [UInt32] = []
    private var recordCounts: [Int] = []

    /// The most datagrams of one system call.
    public static let batchSizeMax = Int(SPILLWAY_SEND_DATAGRAMS_MAX)

    /// - Parameters:
    ///   - batchSize: 1 to `batchSizeMax`.
    ///   - waitMilliseconds: 0 never waits, which is right for programs that must not be slowed down.
    /// - Throws: when the host is unknown or the kernel has no socket. That nobody listens cannot be seen.
    public init(
        to address: CollectorAddress, batchSize: Int = batchSizeMax, waitMilliseconds: Int32 = 0
    ) throws(ClientError) {
        precondition((1...Self.batchSizeMax).contains(batchSize))
        self.address = address
        self.batchSize = batchSize
        self.waitMilliseconds = waitMilliseconds
        reopening = nil
        let connected = try Socket.connected(to: address, timeoutMilliseconds: 0)
        descriptor = connected.descriptor
        socket = consume connected
    }

    /// Without a socket, when no address can be used now: then datagrams are dropped until `reopen` finds one.
    init(
        to address: CollectorAddress, candidates: Result<[HostAddress], ClientError>, batchSize: Int,
        reopening: WakeEvent
    ) {
        precondition((1...Self.batchSizeMax).contains(batchSize))
        self.address = address
        self.batchSize = batchSize
        waitMilliseconds = 0
        self.reopening = reopening
        reopen(candidates)
    }

    /// Replaces the socket by one that is connected to the first of the addresses that works. Does not wait. The present
    /// socket stays where there is none.
    mutating func reopen(_ candidates: Result<[HostAddress], ClientError>) {
        do throws(ClientError) {
            var attempt = ConnectionAttempt(to: address, candidates: try candidates.get(), timeoutMilliseconds: 0)
            guard let connected = try attempt.advance(waitMilliseconds: 0) else { return }
            descriptor = connected.descriptor
            socket = consume connected
            needsReopening = false
            resolverError = nil
        } catch {
            if case .system(let failure) = error { lastError = failure } else { resolverError = error }
            needsReopening = true
        }
    }

    /// Replaces a socket that failed for good, by one to the address that the host has now: for programs that may wait for a
    /// name server. Tries once a second at most.
    public mutating func reopenIfNeeded() {
        let now = monotonicNanoseconds()
        guard needsReopening, now >= nextReopening else { return }
        nextReopening = now &+ Self.reopenNanoseconds
        do throws(ClientError) {
            reopen(.success(try HostAddress.all(of: address)))
        } catch {
            reopen(.failure(error))
        }
    }

    /// Takes a frame as the next datagram, and sends all when enough wait.
    ///
    /// - Parameter recordCount: the records in it; 0 for a control frame.
    /// - Complexity: O(bytes), without allocation once the memory has grown to a batch.
    public mutating func append(_ frame: RawSpan, recordCount: Int) {
        frame.withUnsafeBytes { bytes.append(contentsOf: $0) }
        lengths.append(UInt32(clamping: frame.byteCount))
        recordCounts.append(recordCount)
        recordsWaiting += recordCount
        if lengths.count >= batchSize { send() }
    }

    /// Hands all waiting datagrams to the kernel. Never throws: what the kernel refuses is dropped and counted.
    public mutating func send() {
        var next = 0
        var byteOffset = 0
        while next < lengths.count {
            switch sendOnce(from: next, byteOffset) {
            case .success(.value(let sent)):
                for _ in 0..<sent { count(&next, &byteOffset, dropped: false) }
            case .success(.wouldBlock):
                if waitForRoom() { continue }
                lastError = SystemCallError(call: "sendmmsg", code: EAGAIN, object: "\(address)")
                while next < lengths.count { count(&next, &byteOffset, dropped: true) }
            case .failure(let error):
                // The error is the first datagram's, or an earlier one's that took its place.
                note(error)
                count(&next, &byteOffset, dropped: true)
            }
        }
        if !lengths.isEmpty { notePendingError() }
        bytes.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        recordCounts.removeAll(keepingCapacity: true)
        recordsWaiting = 0
    }

    private mutating func note(_ error: SystemCallError) {
        lastError = error
        guard error.code != ECONNREFUSED, !needsReopening else { return }
        needsReopening = true
        reopening?.signal()
    }

    /// The kernel keeps what the network answered, and gives it to the next datagram in place of sending that one. On this
    /// machine the answer is there when the call returns, so that even the last datagram's is seen.
    private mutating func notePendingError() {
        guard descriptor >= 0 else { return }
        do throws(SystemCallError) {
            let code = try Socket.pendingError(descriptor)
            if code != 0 { note(SystemCallError(call: "send", code: code, object: "\(address)")) }
        } catch {
            note(error)
        }
    }

    private func sendOnce(from next: Int, _ byteOffset: Int) -> Result<CallResult, SystemCallError> {
        guard descriptor >= 0 else {
            return .failure(lastError ?? SystemCallError(call: "sendmmsg", code: ENOTCONN, object: "\(address)"))
        }
        return Result { () throws(SystemCallError) in
            try systemCall("sendmmsg", object: "\(address)") {
                bytes.withUnsafeBytes { bytes in
                    lengths.withUnsafeBufferPointer { lengths in
                        guard let start = bytes.baseAddress, let first = lengths.baseAddress else { return 0 }
                        return Int(
                            spillway_send_datagrams(
                                descriptor, start + byteOffset, first + next, UInt32(lengths.count - next)))
                    }
                }
            }
        }
    }

    private func waitForRoom() -> Bool {
        guard waitMilliseconds > 0 else { return false }
        do throws(SystemCallError) {
            return try Socket.wait(descriptor, for: POLLOUT, timeoutMilliseconds: waitMilliseconds) != 0
        } catch {
            return false
        }
    }

    private mutating func count(_ next: inout Int, _ byteOffset: inout Int, dropped: Bool) {
        let records = UInt64(recordCounts[next])
        let frames: UInt64 = records > 0 ? 1 : 0
        if dropped {
            statistics.framesDropped += frames
            statistics.recordsDropped += records
        } else {
            statistics.frames += frames
            statistics.records += records
            if frames > 0 { statistics.bytes += UInt64(lengths[next]) }
        }
        byteOffset += Int(lengths[next])
        next += 1
    }
}
