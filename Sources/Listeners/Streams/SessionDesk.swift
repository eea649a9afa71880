// Where connections, lanes and the spill meet over TCP sessions: the book of sessions behind a lock, and the way from a
// session to the connection that is told.
//
// Limits: those of `SessionBook`, and one question waiting for each session. A connection is woken once for however much
// there is to tell it.

import Delivery
import FrameCodec
import NIOCore
import Synchronization

/// The desk that frames of TCP sessions pass. Safe from any thread.
public final class SessionDesk: Sendable {
    fileprivate struct Route {
        let handler: NIOLoopBound<ConnectionHandler>
        /// It was woken and has not looked yet.
        var isWoken = false
        /// Frames that it took and that were refused since, which it has not told yet.
        var refusalsToTell = 0
    }

    fileprivate struct State {
        var book: SessionBook
        var routes: [UInt64: Route] = [:]
        /// Sessions that the database is to be asked for.
        var questions: Set<SessionKey> = []
        /// Those of them that the database did not answer: their welcomes say what is known without it.
        var unanswered: Set<SessionKey> = []
    }

    private let state: Mutex<State>
    /// Called when there is a question, on a connection's event loop.
    private let wakeInquirer: @Sendable () -> Void

    /// - Parameter wakeInquirer: somebody asks the database then, see `takeQuestions`.
    public init(book: SessionBook, wakeInquirer: @escaping @Sendable () -> Void = {}) {
        state = Mutex(State(book: book))
        self.wakeInquirer = wakeInquirer
    }

    // MARK: Connections

    func openConnection(_ handler: NIOLoopBound<ConnectionHandler>) -> UInt64 {
        state.withLock { state in
            let number = state.book.openConnection()
            state.routes[number] = Route(handler: handler)
            return number
        }
    }

    func closeConnection(_ number: UInt64) {
        let woken = state.withLock { state in
            state.routes[number] = nil
            // No connection waits for these answers any more.
            for key in state.book.close(connection: number) {
                state.questions.remove(key)
                state.unanswered.remove(key)
            }
            // A session that is open on an older connection is acknowledged there now.
            return state.wakeAll()
        }
        wake(woken)
    }

    /// A session's first frame on a connection.
    func open(_ key: SessionKey, on connection: UInt64) -> SessionOpening {
        let opening = state.withLock { state in
            let opening = state.book.open(key, on: connection)
            if opening == .ask {
                state.questions.insert(key)
                state.unanswered.remove(key)
            }
            return opening
        }
        if opening == .ask { wakeInquirer() }
        return opening
    }

    /// What the session's welcome says; nil when the session has gone on to another connection.
    func welcome(_ key: SessionKey, on connection: UInt64) -> SequenceRanges? {
        state.withLock { $0.book.welcome(key, on: connection) }
    }

    /// Whether all is known of the session that can be known now: the database has answered, or does not answer.
    func isLookedUp(_ key: SessionKey) -> Bool {
        state.withLock { state in state.unanswered.remove(key) != nil || !state.book.needsLookup(key) }
    }

    /// Whether nothing more will come of the frames of these sessions on a connection: all are durable, or refused and told so.
    func areSettled(_ keys: Set<SessionKey>, on connection: UInt64) -> Bool {
        state.withLock { state in
            state.routes[connection]?.refusalsToTell ?? 0 == 0 && state.book.areDurable(keys)
        }
    }

    /// A connection has told a refusal of `refused`.
    func toldRefusal(on connection: UInt64) {
        state.withLock { $0.routes[connection]?.refusalsToTell -= 1 }
    }

    func takeAcknowledgements(for connection: UInt64) -> [SessionFrames] {
        state.withLock { state in
            state.routes[connection]?.isWoken = false
            return state.book.takeAcknowledgements(for: connection)
        }
    }

    /// Gives each numbered frame its verdict. Those that the ledger cannot keep are taken out and given back.
    ///
    /// - Returns: `isCrowded`: there is no room to remember a frame now. Such frames are taken out; they may come again later.
    func judge(_ arrivals: inout [FrameArrival]) -> (refused: [FrameIdentity], isCrowded: Bool) {
        state.withLock { state in
            var refused: [FrameIdentity] = []
            var isCrowded = false
            var index = 0
            while index < arrivals.count {
                // Frames of one session tend to follow each other: it is looked up once for a run of them.
                let key = SessionKey(arrivals[index].identity)
                state.book.admit(key) { admit in
                    while index < arrivals.count, SessionKey(arrivals[index].identity) == key {
                        switch arrivals[index].judge(admit) {
                        case .fresh, .resent: break
                        case .refused: refused.append(arrivals[index].identity)
                        case .crowded: isCrowded = true
                        }
                        index += 1
                    }
                }
            }
            if !refused.isEmpty || isCrowded { arrivals.removeAll { $0.isRefused } }
            return (refused, isCrowded)
        }
    }

    /// Frames that were judged and are not taken after all.
    func withdraw(_ identities: [FrameIdentity]) {
        state.withLock { state in
            for identity in identities { state.withdraw(identity) }
        }
    }

    // MARK: Lanes and the spill

    /// Frames are durable: their clients are told.
    public func durable(_ frames: [SessionFrames]) {
        guard !frames.isEmpty else { return }
        let woken = state.withLock { state in
            state.book.durable(frames)
            return state.wakeAll()
        }
        wake(woken)
    }

    /// Frames that an earlier run's spill holds durably.
    public func recovered(_ frames: [SessionFrames]) { state.withLock { $0.book.recovered(frames) } }

    /// Frames were found malformed before anybody was told that they are durable: their clients are told why.
    public func refused(_ frames: [(identity: FrameIdentity, error: FrameError, records: Int)]) {
        for (identity, error, records) in frames {
            let handler = state.withLock { state in
                state.withdraw(identity)
                return state.book.connection(of: SessionKey(identity)).flatMap { connection in
                    state.routes[connection]?.refusalsToTell += 1
                    return state.routes[connection]?.handler
                }
            }
            guard let handler else { continue }
            handler.eventLoop.execute { handler.value.tellRefused(error, identity, records: records) }
        }
    }

    /// The sessions that the database is to be asked for. Each is given once.
    public func takeQuestions() -> [SessionKey] {
        state.withLock { state in
            defer { state.questions = [] }
            return state.questions.sorted()
        }
    }

    /// The database's answers: what it has of each session.
    public func answered(_ stored: [SessionKey: SequenceRanges]) {
        let woken = state.withLock { state in
            for (key, ranges) in stored { state.book.stored(key, ranges) }
            return state.wakeAll() + stored.keys.compactMap { state.wake($0) }
        }
        wake(woken)
    }

    /// The database does not answer now.
    public func notAnswered(_ keys: [SessionKey]) {
        let woken = state.withLock { state in
            state.unanswered.formUnion(keys.filter { state.book.connection(of: $0) != nil })
            return keys.compactMap { state.wake($0) }
        }
        wake(woken)
    }

    private func wake(_ handlers: [NIOLoopBound<ConnectionHandler>]) {
        for handler in handlers { handler.eventLoop.execute { handler.value.tell() } }
    }
}

extension SessionDesk.State {
    /// The connections that have something to be told and do not know it.
    fileprivate mutating func wakeAll() -> [NIOLoopBound<ConnectionHandler>] {
        book.connectionsToNotify.compactMap { wake(connection: $0) }
    }

    fileprivate mutating func withdraw(_ identity: FrameIdentity) {
        guard identity.sequence > 0 else { return }
        var sequences = SequenceRanges()
        sequences.insert(identity.sequence)
        book.withdraw(SessionKey(identity), sequences)
    }

    fileprivate mutating func wake(_ key: SessionKey) -> NIOLoopBound<ConnectionHandler>? {
        book.connection(of: key).flatMap { wake(connection: $0) }
    }

    private mutating func wake(connection: UInt64) -> NIOLoopBound<ConnectionHandler>? {
        guard let route = routes[connection], !route.isWoken else { return nil }
        routes[connection]?.isWoken = true
        return route.handler
    }
}

extension FrameArrival {
    /// Notes the frame's admission. One without a number, which nobody acknowledges, is always fresh.
    fileprivate mutating func judge(_ admit: (UInt64) -> FrameAdmission) -> FrameAdmission {
        guard identity.sequence > 0 else { return .fresh }
        let admission = admit(identity.sequence)
        switch admission {
        case .fresh: verdict = .fresh
        case .resent: verdict = .duplicate
        case .refused, .crowded: isRefused = true
        }
        return admission
    }
}
