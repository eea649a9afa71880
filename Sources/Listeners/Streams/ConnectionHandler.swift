// One TCP connection: its channel's events, its phases and its deadlines. How its bytes become frames in the ring is in
// StreamIntake, what is to be said in ConnectionReplies.
//
// Limits: one frame and the chunks read at most; while the ring is full nothing is read, but what the kernel hands over
// when the peer closes is kept, at most the socket's receive buffer.

import Accounting
import Delivery
import FrameCodec
import FrameRing
import LinuxSystem
import NIOCore

/// What the connections of a listener share.
struct ConnectionContext: Sendable {
    let configuration: TCPListener.Configuration
    let ring: FrameRing
    let accounting: Accounting
    let log: RefusalLog
    let registry: SessionRegistry
    let table: ConnectionTable
}

/// Lives on its channel's event loop.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// First wait for a full ring; it doubles up to the last one.
    private static let retryDelayFirst = TimeAmount.milliseconds(1)
    private static let retryDelayLast = TimeAmount.milliseconds(8)
    /// How long a connection that is being closed may take to let its peer read the last reply.
    private static let lingerNanoseconds: UInt64 = 1_000_000_000
    /// A connection that is asked to stop is done when nothing came for so long.
    private static let quietNanoseconds: UInt64 = 50_000_000
    private static let quietCheck = TimeAmount.milliseconds(10)

    private enum Phase {
        /// Frames are taken.
        case open
        /// The collector stops: nothing more is taken, and what was is still acknowledged.
        case draining
        /// The peer has sent its last byte; what is not durable yet is waited for, until then at most.
        case finishing(untilNanoseconds: UInt64)
        /// There was no room to remember a frame: what was taken is acknowledged, until then at most, and then the connection
        /// ends. A client that comes again has that much less to send.
        case crowded(untilNanoseconds: UInt64)
        /// The last reply is out; what still comes is thrown away, so that the peer can read that reply.
        case closing(untilNanoseconds: UInt64)
    }

    private let shared: ConnectionContext
    private let eventLoop: any EventLoop
    private var context: ChannelHandlerContext?
    private var peer = PeerAddress(ip: IPAddress(isIPv6: false, high: 0, low: 0), port: 0)
    /// This connection's number in the session registry; 0 until it is admitted.
    private var number: UInt64 = 0
    private var phase = Phase.open
    private var tick: RepeatedTask?

    private var intake: StreamIntake
    /// Set while a chunk is worked on. A write can end the connection under our hands; that end waits for ours.
    private var isBusy = false
    /// Whether the intake waits for the ring.
    private var isHeld = false
    private var retryDelay = ConnectionHandler.retryDelayFirst
    /// What came although nothing was asked for.
    private var waitingChunks = CircularBuffer<ByteBuffer>()
    private var hasInputEnded = false
    private var stopDeadlineNanoseconds: UInt64?

    private var lastActivityNanoseconds: UInt64 = 0
    private var replies: ConnectionReplies

    init(_ shared: ConnectionContext, eventLoop: any EventLoop) {
        self.shared = shared
        intake = StreamIntake(shared)
        replies = ConnectionReplies(shared.registry)
        self.eventLoop = eventLoop
    }

    // MARK: The channel's events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) { begin(context) }

    private func begin(_ context: ChannelHandlerContext) {
        guard number == 0, case .open = phase else { return }
        peer = PeerAddress(context.remoteAddress) ?? peer
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let number = shared.registry.openConnection(ConnectionRoute(handler: bound))
        do throws(ConnectionNotAdmitted) {
            try shared.table.admit(number, bound, from: peer.ip)
            self.number = number
        } catch {
            shared.registry.closeConnection(number)
            phase = .closing(untilNanoseconds: 0)
            refuse(error.reason)
            return context.close(promise: nil)
        }
        shared.accounting.count(1, as: .connectionsAccepted)
        lastActivityNanoseconds = monotonicNanoseconds()
        startTicking()
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard number != 0, case .open = phase else { return }
        lastActivityNanoseconds = monotonicNanoseconds()
        let chunk = unwrapInboundIn(data)
        guard !isHeld else { return waitingChunks.append(chunk) }
        proceed(with: chunk)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !isHeld, !hasInputEnded, !isDraining { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        sendReplies()
        context.fireChannelWritabilityChanged()
    }

    private var isDraining: Bool {
        switch phase {
        case .draining, .crowded: true
        case .open, .finishing, .closing: false
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { endInput() }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset by the peer, mostly. What it cut off is counted when the channel is inactive.
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        endInput()
        retireIfDone()
    }

    private func endInput() {
        guard !hasInputEnded else { return }
        hasInputEnded = true
        guard number != 0 else { return }
        if case .open = phase {
        } else {
            context?.close(promise: nil)
            return
        }
        if !isHeld, !isBusy {
            finishInput()
        }
    }

    // MARK: Frames

    /// Hands over what a chunk has, or what is held, as far as the ring takes it, and goes on with what waits behind.
    private func proceed(with chunk: ByteBuffer?) {
        isBusy = true
        if let chunk { cut(chunk) }
        handOverAll()
        isBusy = false
        sendReplies()
        guard !isHeld else { return }
        if hasInputEnded { finishInput() }
        retireIfDone()
    }

    private func cut(_ chunk: ByteBuffer) {
        for refusal in intake.cut(chunk, of: number, from: peer, &replies) {
            refuse(refusal.error, refusal.identity, source: refusal.identity.source)
        }
    }

    private func handOverAll() {
        while true {
            guard intake.handOver(&replies) else { return hold() }
            isHeld = false
            retryDelay = Self.retryDelayFirst
            switch intake.end {
            case .broken(let fault)?:
                refuse(fault, replies.lastIdentity, source: nil)
                return close()
            case .crowded?:
                return endCrowded()
            case nil: break
            }
            intake.finishChunk(cameAtNanoseconds: lastActivityNanoseconds)
            guard let next = waitingChunks.popFirst() else { return }
            cut(next)
        }
    }

    /// Stops reading, which is what slows the sender down, and tries again soon.
    private func hold() {
        isHeld = true
        eventLoop.assumeIsolated().scheduleTask(in: retryDelay) { self.retry() }
        retryDelay = min(retryDelay * 2, Self.retryDelayLast)
    }

    private func retry() {
        guard isHeld else { return }
        let isLate = stopDeadlineNanoseconds.map { monotonicNanoseconds() >= $0 } ?? false
        if isLate { dropHeld() }
        // The time that the ring took is not the peer's.
        lastActivityNanoseconds = monotonicNanoseconds()
        intake.forgiveWaiting(nowNanoseconds: lastActivityNanoseconds)
        proceed(with: nil)
        // Nothing is held now. What it would read next might be held again, and it would never become quiet.
        if isLate { becomeQuiet() }
        if !isHeld, !hasInputEnded, !isDraining { context?.read() }
    }

    /// The collector stops and the ring has not moved: what is held is lost, and counted.
    private func dropHeld() {
        isBusy = true
        defer { isBusy = false }
        while true {
            intake.dropWaiting()
            // What waits behind was received as well: it is cut, so that its frames are counted before they are dropped.
            guard !intake.isBroken, let next = waitingChunks.popFirst() else { return }
            intake.finishChunk(cameAtNanoseconds: lastActivityNanoseconds)
            cut(next)
        }
    }

    /// The peer has sent its last byte, and all its frames are in the ring.
    private func finishInput() {
        guard case .open = phase else { return }
        if let error = intake.truncation {
            refuse(error, replies.lastIdentity, source: nil)
        }
        intake.forgetPartial()
        phase = .finishing(
            untilNanoseconds: monotonicNanoseconds() &+ shared.configuration.receiptDeadline.unsignedNanoseconds)
        sendReplies()
    }

    /// Takes nothing more, and ends when the client knows of all that was taken.
    private func endCrowded() {
        refuse(.tooManySessions)
        intake.forgetPartial()
        waitingChunks.removeAll()
        phase = .crowded(
            untilNanoseconds: monotonicNanoseconds() &+ shared.configuration.receiptDeadline.unsignedNanoseconds)
    }

    /// Says what was taken, and closes.
    private func sendReceipt() {
        phase = .closing(untilNanoseconds: monotonicNanoseconds() &+ Self.lingerNanoseconds)
        guard let context, context.channel.isActive else { return }
        var reply = context.channel.allocator.buffer(capacity: 0)
        reply.writeBytes(replies.encodedReceipt)
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(reply)).whenComplete { _ in channel.close(promise: nil) }
    }

    // MARK: Welcomes and acknowledgements

    /// Sends welcomes and acknowledgements that wait. It may be called at any time. A peer that does not read gets them later.
    func sendReplies() {
        guard !isBusy, number != 0, let context, context.channel.isActive, context.channel.isWritable else { return }
        if case .closing = phase { return }
        // Asked before the acknowledgements are taken: what is durable by then is among them.
        let isDone = hasNothingToWaitFor
        var reply = context.channel.allocator.buffer(capacity: 0)
        replies.write(into: &reply, of: number) { key, frames in
            shared.accounting.foundDurable(frames, of: key, peer: peer, nowMicroseconds: wallClockMicroseconds())
        }
        if reply.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(reply), promise: nil) }
        guard isDone else { return }
        switch phase {
        case .finishing: sendReceipt()
        case .crowded: close()
        case .open, .draining, .closing: break
        }
    }

    /// Whether a connection that takes nothing more may end: all that it took is durable, or its time is over.
    private var hasNothingToWaitFor: Bool {
        switch phase {
        case .finishing(let until), .crowded(let until):
            monotonicNanoseconds() >= until || replies.areAllFramesSettled(on: number)
        case .open, .draining, .closing: false
        }
    }

    /// A frame of this connection was found malformed after the ring. The accounting has it already.
    fileprivate func refuseTaken(_ identity: FrameIdentity, _ error: FrameError, records: Int) {
        replies.takeBack(records: records)
        reply(with: error, identity)
        shared.registry.refusalSent(on: number)
        sendReplies()
    }

    // MARK: Refusals and the end

    /// Counts, logs and tells the peer. A peer that does not read its replies gets no more of them.
    private func refuse(_ error: FrameError, _ identity: FrameIdentity, source: UInt64?) {
        shared.accounting.refused(
            error.reason, source: source, peer: peer, nowMicroseconds: wallClockMicroseconds())
        shared.log.refused(error, at: error.offset, peer: peer, transport: "tcp")
        replies.receipt.framesRefused += 1
        reply(with: error, identity)
    }

    private func reply(with error: FrameError, _ identity: FrameIdentity) {
        guard let context, context.channel.isActive else { return }
        guard context.channel.isWritable else {
            // A client that waits for this frame would wait for ever: on its next connection it hears of it.
            if identity.sequence > 0 { context.close(promise: nil) }
            return
        }
        var reply = context.channel.allocator.buffer(capacity: 0)
        reply.writeBytes(RefusalFrame(error).encoded(identity))
        context.writeAndFlush(wrapOutboundOut(reply), promise: nil)
    }

    private func refuse(_ reason: ConnectionRefusal) {
        shared.accounting.refused(reason)
        shared.log.refused(reason, peer: peer)
    }

    /// Closes our side and throws away what still comes: closing at once with unread bytes would make the kernel reset
    /// the connection, and the peer would lose the refusal.
    private func close() {
        if isHeld { dropHeld() }
        phase = .closing(untilNanoseconds: monotonicNanoseconds() &+ Self.lingerNanoseconds)
        intake.forgetPartial()
        waitingChunks.removeAll()
        guard !hasInputEnded else {
            context?.close(promise: nil)
            return
        }
        context?.close(mode: .output, promise: nil)
        // One that was held, or is draining, has asked for nothing.
        context?.read()
    }

    private func retireIfDone() {
        guard number != 0, !isHeld, !isBusy, context?.channel.isActive != true else { return }
        tick?.cancel()
        tick = nil
        shared.registry.closeConnection(number)
        shared.table.remove(number, from: peer.ip)
    }

    // MARK: Deadlines

    private func startTicking() {
        let period = shared.configuration.tickPeriod
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        tick = eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in
            bound.value.checkDeadlines()
        }
    }

    private func checkDeadlines() {
        let now = monotonicNanoseconds()
        if case .closing(let until) = phase {
            if now >= until { context?.close(promise: nil) }
            return
        }
        if isHeld { replies.held(nowNanoseconds: now) }
        sendReplies()
        guard !isHeld, case .open = phase else { return }
        if let frameBegunNanoseconds = intake.frameBegunNanoseconds {
            guard now &- frameBegunNanoseconds >= shared.configuration.frameDeadline.unsignedNanoseconds else { return }
            refuse(.frameDeadline)
        } else {
            guard now &- lastActivityNanoseconds >= shared.configuration.idleDeadline.unsignedNanoseconds else {
                return
            }
            refuse(.idleDeadline)
        }
        // A frame that is not whole is counted when the channel has become inactive.
        context?.close(promise: nil)
    }

    /// Takes what is on its way, then nothing more; `deadlineNanoseconds` bounds that. `finish` closes.
    func stop(deadlineNanoseconds: UInt64) {
        guard stopDeadlineNanoseconds == nil else { return }
        stopDeadlineNanoseconds = deadlineNanoseconds
        lastActivityNanoseconds = monotonicNanoseconds()
        checkQuiet(deadlineNanoseconds)
    }

    private func checkQuiet(_ deadlineNanoseconds: UInt64) {
        guard context?.channel.isActive == true else { return }
        let now = monotonicNanoseconds()
        let isQuiet = now &- lastActivityNanoseconds >= Self.quietNanoseconds
        if !isHeld, isQuiet || now >= deadlineNanoseconds {
            becomeQuiet()
            return
        }
        eventLoop.assumeIsolated().scheduleTask(in: Self.quietCheck) { self.checkQuiet(deadlineNanoseconds) }
    }

    private func becomeQuiet() {
        if case .open = phase { phase = .draining }
        // The beginning of a frame is not this collector's: its sender has it still.
        intake.forgetPartial()
        shared.table.becameQuiet(number)
    }

    /// Says the last that is to be said, and closes.
    func finish() {
        guard context?.channel.isActive == true else { return }
        if case .closing = phase { return }
        sendReplies()
        switch phase {
        case .closing: return
        case .finishing, .crowded: sendReceipt()
        case .open, .draining: close()
        }
    }
}

/// The way from the session registry to a connection's event loop.
private struct ConnectionRoute: SessionConnection {
    let handler: NIOLoopBound<ConnectionHandler>

    func notify() { handler.eventLoop.execute { handler.value.sendReplies() } }

    func refuse(_ identity: FrameIdentity, _ error: FrameError, records: Int) {
        handler.eventLoop.execute { handler.value.refuseTaken(identity, error, records: records) }
    }
}
