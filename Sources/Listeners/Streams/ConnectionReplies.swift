// What a connection has to say: the welcomes of its sessions, acknowledgements, and the receipt at its end.

import Delivery
import FrameCodec
import LinuxSystem
import NIOCore

/// Lives on its channel's event loop, as its handler does. Makes the bytes of replies and sends none.
struct ConnectionReplies {
    /// How long a welcome waits for what the database knows of the session.
    private static let welcomeNanoseconds: UInt64 = 1_000_000_000
    /// How often a peer whose frames have to wait gets an answer that it did not ask for.
    private static let heldNanoseconds: UInt64 = 5_000_000_000
    /// Sessions of one connection. Where one more begins the connection ends, and its client comes again with what is left.
    private static let sessionsMax = 1_024

    private let registry: SessionRegistry
    /// Counts what is told in the end.
    var receipt = ReceiptFrame(framesAccepted: 0, recordsAccepted: 0, framesRefused: 0, framesDuplicate: 0)
    /// Source and session of the last sound frame: what replies carry that answer no sound frame.
    var lastIdentity = FrameIdentity()
    /// Sessions that began on this connection, and those of them that wait for their welcome, until when.
    private var sessions: Set<SessionKey> = []
    private var unwelcomed: [SessionKey: UInt64] = [:]
    /// Those of `sessions` whose last heartbeat has no answer yet, and when the last answer was written.
    private var heartbeats: Set<SessionKey> = []
    private var lastAnswerNanoseconds: UInt64 = 0
    /// One of `sessions`: that of the last frame, which the next one tends to have as well.
    private var lastSession: SessionKey?

    init(_ registry: SessionRegistry) { self.registry = registry }

    /// A frame of a session: its first one on this connection opens the session.
    ///
    /// - Returns: false where there is no room for it: no frame of it could be acknowledged here.
    mutating func begin(_ key: SessionKey, on connection: UInt64) -> Bool {
        guard key != lastSession else { return true }
        if !sessions.contains(key) {
            guard sessions.count < Self.sessionsMax else { return false }
            switch registry.open(key, on: connection) {
            case .welcome: unwelcomed[key] = 0
            case .ask: unwelcomed[key] = monotonicNanoseconds() &+ Self.welcomeNanoseconds
            case .refused: return false
            }
            sessions.insert(key)
        }
        lastSession = key
        return true
    }

    /// A heartbeat of a session came. It is answered with an acknowledgement, by which the peer knows that the connection works.
    mutating func heartbeat(_ key: SessionKey) {
        if sessions.contains(key) { heartbeats.insert(key) }
    }

    /// Nothing is read, for there is no room: a heartbeat that waits in the socket cannot be answered. The peer gets an
    /// acknowledgement all the same, so that it keeps the connection.
    mutating func held(nowNanoseconds now: UInt64) {
        guard let lastSession, now &- lastAnswerNanoseconds >= Self.heldNanoseconds else { return }
        heartbeats.insert(lastSession)
    }

    /// Writes the welcomes and acknowledgements that are due.
    ///
    /// - Parameter onWelcome: called with the number of frames that are durable of a session that opens.
    mutating func write(
        into reply: inout ByteBuffer, of connection: UInt64, onWelcome: (SessionKey, UInt64) -> Void
    ) {
        let now = unwelcomed.isEmpty ? 0 : monotonicNanoseconds()
        for (key, deadline) in unwelcomed where now >= deadline || registry.isLookedUp(key) {
            unwelcomed[key] = nil
            guard var durable = registry.welcome(key, on: connection) else { continue }
            onWelcome(key, durable.count)
            let first = durable.takeFirst(FrameLimits.rangesMax)
            let welcome = WelcomeFrame(
                frameBytesMax: UInt64(FrameLimits.frameBytesMax),
                recordsPerFrameMax: UInt64(FrameLimits.recordsPerFrameMax), durable: first)
            reply.writeBytes(welcome.encoded(key.identity))
            while !durable.isEmpty {
                let more = AcknowledgementFrame(durable: durable.takeFirst(FrameLimits.rangesMax))
                reply.writeBytes(more.encoded(key.identity))
            }
        }
        for frames in registry.takeAcknowledgements(for: connection) {
            reply.writeBytes(AcknowledgementFrame(durable: frames.sequences).encoded(frames.key.identity))
        }
        for key in heartbeats where unwelcomed[key] == nil {
            heartbeats.remove(key)
            lastAnswerNanoseconds = monotonicNanoseconds()
            // Empty, which no other acknowledgement is: all that is durable has been reported above or before.
            reply.writeBytes(AcknowledgementFrame(durable: SequenceRanges()).encoded(key.identity))
        }
    }

    /// Whether every frame that this connection's sessions sent is durable or refused.
    func areAllFramesSettled(on connection: UInt64) -> Bool { registry.areSettled(sessions, on: connection) }

    /// A frame that was taken is refused after all.
    mutating func takeBack(records: Int) {
        // One that another connection of the session took is not in these totals.
        receipt.framesAccepted -= min(receipt.framesAccepted, 1)
        receipt.recordsAccepted -= min(receipt.recordsAccepted, UInt64(records))
        receipt.framesRefused += 1
    }

    var encodedReceipt: [UInt8] { receipt.encoded(lastIdentity) }
}

extension SessionKey {
    fileprivate var identity: FrameIdentity { FrameIdentity(source: source, session: session) }
}
