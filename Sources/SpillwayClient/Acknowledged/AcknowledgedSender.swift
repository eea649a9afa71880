// Frames that must arrive: each is kept until the collector says that it is durable, and sent again over a new connection when
// one breaks or the collector restarts.
//
// Limits: `bytesMax` of frames that are not acknowledged; a call that has to wait ends after `timeoutMilliseconds` without an
// acknowledgement; a connection is replaced when it gives no byte for two heartbeat intervals (`ConnectionLiveness`). Invariant: a frame leaves the memory only when it was acknowledged or refused, and one that was written keeps
// its session and sequence.

import Glibc
import LinuxSystem

/// A session with a collector over as many connections as it takes. Used by one thread.
public struct AcknowledgedSender: ~Copyable {
    public let address: CollectorAddress
    /// That of the frames as they are given. When the session is renewed, their headers are changed.
    public let identity: SourceIdentity
    /// Whether a new session begins when the collector cannot remember a frame of this one.
    public let renewsSession: Bool
    /// Nil: nothing that waits fails, however long the collector is away.
    public let timeoutMilliseconds: Int?
    public internal(set) var statistics = AcknowledgementStatistics()
    /// The first refusals, each with its frame's sequence.
    public internal(set) var refusals: [(sequence: UInt64, refusal: RefusalFrame)] = []
    /// Called with a session's sequences that became durable, as they are known.
    public var onAcknowledged: (_ session: UInt64, _ sequences: SequenceRanges) -> Void = { _, _ in }

    var frames: UnacknowledgedFrames
    var sessions: SenderSessions
    var connection: CollectorConnection
    private var isFinishing = false
    /// Of `connection`.
    var liveness: ConnectionLiveness
    var receipt: ReceiptFrame?
    /// A heartbeat is to be sent as soon as it can begin.
    var isHeartbeatDue = false
    /// All open frames are to be written again on this connection, from the next frame's beginning.
    var isRewindDue = false
    /// Of the last welcome.
    var limits = CollectorLimits.ofProtocol
    var backoffMilliseconds = backoffFirstMilliseconds
    private var nextConnect: UInt64 = 0
    var lastProgress = monotonicNanoseconds()
    /// Why the last connection ended or was not had.
    private(set) var lastError: ClientError?
    /// The same, until it is taken.
    private var newError: ClientError?

    static let backoffFirstMilliseconds = 100
    private static let backoffLastMilliseconds = 5_000
    /// A collector that does not know of welcomes is not waited for longer.
    static let welcomeNanoseconds: UInt64 = 5_000_000_000
    static let refusalsMax = 16
    private static let framesMax = 65_536
    private static let writeBytesMax = 256 << 10
    /// A peer that never stops sending must not keep a step from ending.
    static let readsPerStepMax = 64

    /// - Parameters:
    ///   - bytesMax: at least `FrameLimits.frameBytesMax`.
    ///   - timeoutMilliseconds: how long nothing may be acknowledged before a call that waits for it fails.
    ///   - renewsSession: when the collector refuses a frame because it cannot remember it, put all frames that were not
    ///     written yet into a new session. False for a session that another process has sent before: it may be stored.
    public init(
        to address: CollectorAddress, identity: SourceIdentity, bytesMax: Int = 16 << 20,
        timeoutMilliseconds: Int? = 60_000, renewsSession: Bool = true
    ) {
        self.init(
            to: address, identity: identity, bytesMax: bytesMax, timeoutMilliseconds: timeoutMilliseconds,
            renewsSession: renewsSession, resolver: HostAddress.all)
    }

    init(
        to address: CollectorAddress, identity: SourceIdentity, bytesMax: Int, timeoutMilliseconds: Int?,
        renewsSession: Bool = true, heartbeatMilliseconds: Int = ConnectionLiveness.intervalMillisecondsDefault,
        resolver: @escaping HostResolver
    ) {
        self.address = address
        self.identity = identity
        self.renewsSession = renewsSession
        sessions = SenderSessions(first: identity)
        self.timeoutMilliseconds = timeoutMilliseconds
        connection = CollectorConnection(to: address, resolver: resolver)
        frames = UnacknowledgedFrames(bytesMax: bytesMax, framesMax: Self.framesMax)
        liveness = ConnectionLiveness(intervalMilliseconds: heartbeatMilliseconds)
    }

    /// Frames that are neither acknowledged nor refused, and their records.
    public var framesOpen: Int { frames.frameCount }
    public var recordsOpen: Int { frames.recordCount }
    /// Whether a frame of so many bytes would have to wait.
    public func isFull(for bytes: Int) -> Bool { frames.isFull(for: bytes) }

    /// Whether a frame can be taken now. Makes room where frames are kept that need not be.
    mutating func hasRoom(for bytes: Int) -> Bool {
        if frames.isFull(for: bytes) { frames.removeDoneBetween() }
        return !frames.isFull(for: bytes)
    }

    /// Takes a frame of `identity`. Waits while the memory is full.
    ///
    /// - Parameter sequence: larger than that of the frame before. In a renewed session the header gets another one.
    public mutating func send(_ frame: RawSpan, sequence: UInt64, recordCount: Int) throws(ClientError) {
        if frames.isEmpty { lastProgress = monotonicNanoseconds() }
        while !hasRoom(for: frame.byteCount) { try step(waitMilliseconds: 100) }
        take(frame, sequence: sequence, recordCount: recordCount)
        // Written in pieces that are worth a system call; replies are read with them.
        if frames.unsentBytes >= Self.writeBytesMax { try step(waitMilliseconds: 0) }
    }

    /// Takes a frame without waiting and without writing anything.
    ///
    /// - Precondition: it is not full for it.
    mutating func take(_ frame: RawSpan, sequence: UInt64, recordCount: Int) {
        statistics.frames += 1
        statistics.records += UInt64(recordCount)
        statistics.bytes += UInt64(frame.byteCount)
        if let fault = limits.fault(byteCount: frame.byteCount, recordCount: recordCount) {
            return refuseUnwritten(sequence, recordCount: recordCount, fault)
        }
        let placed = sessions.add(number: sequence, records: recordCount, bytes: frame.byteCount)
        let isRenewed = placed.session != identity.session
        frames.append(frame, sequence: sequence, recordCount: recordCount, identity: isRenewed ? placed : nil)
    }

    /// Writes what there is and reads what has come, waiting for at most so long.
    public mutating func progress(waitMilliseconds: Int) throws(ClientError) {
        if frames.isEmpty { lastProgress = monotonicNanoseconds() }
        try step(waitMilliseconds: waitMilliseconds)
    }

    /// Queues a heartbeat with the session's totals.
    public mutating func sendHeartbeat(recordsDropped: UInt64 = 0) {
        sessions.dropped(recordsDropped)
        isHeartbeatDue = true
    }

    /// Why a connection ended or was not had since the last call.
    mutating func takeNewError() -> ClientError? { newError.take() }

    var isConnected: Bool { connection.isOpen }
    /// Whether a heartbeat is on its way.
    var hasHeartbeatWaiting: Bool { isHeartbeatDue || connection.hasControl }

    /// Waits until every frame is acknowledged or refused.
    public mutating func waitUntilAcknowledged() throws(ClientError) {
        lastProgress = monotonicNanoseconds()
        while !frames.isEmpty || hasHeartbeatWaiting { try step(waitMilliseconds: 100) }
    }

    /// Ends the session in order, after everything is acknowledged.
    ///
    /// - Parameter milliseconds: how long it waits for the collector's word; nil as long as for an acknowledgement.
    /// - Returns: what the collector took on the last connection; nil if it did not say.
    public mutating func finish(withinMilliseconds milliseconds: Int? = nil) throws(ClientError) -> ReceiptFrame? {
        precondition(frames.isEmpty, "what is not acknowledged is waited for first")
        let deadline = milliseconds.map { monotonicNanoseconds() &+ UInt64(max($0, 0)) * 1_000_000 } ?? .max
        try reportTotals(deadlineNanoseconds: deadline)
        guard connection.finishWriting() else { return nil }
        isFinishing = true
        lastProgress = monotonicNanoseconds()
        while connection.isOpen, receipt == nil {
            let now = monotonicNanoseconds()
            guard now < deadline else { break }
            try step(waitMilliseconds: min(100, Int((deadline - now) / 1_000_000) + 1))
        }
        return receipt
    }

    /// The last heartbeat has the totals of all that was written.
    private mutating func reportTotals(deadlineNanoseconds: UInt64) throws(ClientError) {
        guard connection.isOpen, sessions.hasUnreportedFrames else { return }
        isHeartbeatDue = true
        while hasHeartbeatWaiting, connection.isOpen, monotonicNanoseconds() < deadlineNanoseconds {
            try step(waitMilliseconds: 10)
        }
    }

    // MARK: One step

    private mutating func step(waitMilliseconds: Int) throws(ClientError) {
        let now = monotonicNanoseconds()
        if let timeoutMilliseconds, now &- lastProgress > UInt64(timeoutMilliseconds) * 1_000_000 {
            throw lastError
                ?? .timedOut("acknowledgements from \(address)", milliseconds: Int32(clamping: timeoutMilliseconds))
        }
        guard try connectIfDue(now: now, waitMilliseconds: waitMilliseconds) else { return }
        do throws(ClientError) {
            if !frames.isEmpty, liveness.isHeartbeatDue(nowNanoseconds: now) { isHeartbeatDue = true }
            if isHeartbeatDue { liveness.heartbeat(nowNanoseconds: now) }
            let wroteAll = try write()
            try read(waitMilliseconds: waitMilliseconds, wantsToWrite: !wroteAll)
            if !frames.isEmpty, liveness.isDead(nowNanoseconds: now) {
                throw ClientError.timedOut("replies from \(address)", milliseconds: liveness.silenceMilliseconds)
            }
            if sessions.hasEndedSessions {
                sessions.removeEnded(oldestNumber: frames.oldestSequence, nowNanoseconds: monotonicNanoseconds())
            }
        } catch {
            disconnect(error)
        }
    }

    /// - Returns: whether there is a connection.
    private mutating func connectIfDue(now: UInt64, waitMilliseconds: Int) throws(ClientError) -> Bool {
        if connection.isOpen { return true }
        if isFinishing { return false }
        if now < nextConnect {
            let milliseconds = min(UInt64(max(waitMilliseconds, 0)), (nextConnect - now) / 1_000_000 + 1)
            usleep(UInt32(milliseconds) * 1_000)
            return false
        }
        do throws(ClientError) {
            guard try connection.connect(waitMilliseconds: waitMilliseconds) else { return false }
        } catch {
            disconnect(error)
            if case .unresolvable = error, statistics.framesAcknowledged == 0 { throw error }
            return false
        }
        sessions.connected(welcomeDeadlineNanoseconds: monotonicNanoseconds() &+ Self.welcomeNanoseconds)
        liveness.connected()
        frames.rewind()
        isRewindDue = false
        isHeartbeatDue = true
        return true
    }

    private mutating func disconnect(_ error: ClientError) {
        let wasOpen = connection.isOpen
        connection.close()
        // Everything is acknowledged, and the collector ends the connection in its turn.
        if isFinishing { return }
        if wasOpen { statistics.reconnects += 1 }
        lastError = error
        newError = error
        let wait = Int.random(in: backoffMilliseconds / 2...backoffMilliseconds)
        backoffMilliseconds = min(backoffMilliseconds * 2, Self.backoffLastMilliseconds)
        nextConnect = monotonicNanoseconds() &+ UInt64(wait) * 1_000_000
    }

    // MARK: Writing

    /// - Returns: false when the socket takes no more.
    private mutating func write() throws(ClientError) -> Bool {
        while true {
            if !frames.isWithinFrame {
                if isRewindDue {
                    isRewindDue = false
                    frames.rewind()
                }
                guard try writeHeartbeats() else { return false }
                if isHeartbeatDue { continue }
            }
            let (descriptor, address) = (connection.descriptor, address)
            let result: Result<CallResult, SystemCallError>? = frames.withNextBytes(
                atMost: Self.writeBytesMax, untilFrameEnd: isHeartbeatDue || isRewindDue,
                before: sessions.firstHeldBack(nowNanoseconds: monotonicNanoseconds())
            ) { bytes in CollectorConnection.send(bytes, descriptor, address) }
            switch result {
            case nil: return true
            case .success(.wouldBlock): return false
            case .success(.value(let count)):
                let written = frames.advance(count)
                statistics.framesResent += written.framesAgain
                sessions.wrote(written, lastNumber: frames.lastSentSequence)
            case .failure(let error): throw .system(error)
            }
        }
    }

    /// - Returns: false when the socket takes no more.
    private mutating func writeHeartbeats() throws(ClientError) -> Bool {
        if isHeartbeatDue, !connection.hasControl {
            isHeartbeatDue = false
            connection.queueControl(sessions.takeHeartbeats(baseTime: Timestamp.now))
        }
        guard connection.hasControl else { return true }
        guard try connection.writeControl() else { return false }
        sessions.wroteHeartbeats()
        return true
    }
}
