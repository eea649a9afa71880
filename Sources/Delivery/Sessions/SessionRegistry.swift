// The TCP sessions behind a lock, and the way from a session to its connection: which frames are fresh, which are durable, and
// which connection is to send what.
//
// Limits: those of `SessionTable`, and one lookup waiting for each session. A connection is notified once for however much there
// is for it.

import Accounting
import FrameCodec
import Synchronization

/// A connection that sessions are open on. Called on any thread, without a lock.
package protocol SessionConnection: Sendable {
    /// Acknowledgements or welcomes wait for the connection.
    func notify()
    /// A frame of the connection was found malformed after it was taken. `SessionRegistry.refusalSent` follows.
    func refuse(_ identity: FrameIdentity, _ error: FrameError, records: Int)
}

/// Keeps what is known of every TCP session. Safe from any thread.
package final class SessionRegistry: Sendable {
    fileprivate struct Route {
        let connection: any SessionConnection
        /// It was notified and has not taken anything yet.
        var isNotified = false
        /// Frames that it took and that were refused since, whose refusals it has not sent.
        var refusalsPending = 0
    }

    fileprivate struct State {
        var table: SessionTable
        var routes: [UInt64: Route] = [:]
        /// Sessions that are to be looked up in the database.
        var lookups: Set<SessionKey> = []
        /// Those whose lookup failed: their welcomes say what is known without it.
        var failedLookups: Set<SessionKey> = []
    }

    private let state: Mutex<State>
    private let onLookup: @Sendable () -> Void

    /// - Parameter onLookup: called on a connection's thread when `takeLookups` has something to give.
    package init(_ table: SessionTable, onLookup: @escaping @Sendable () -> Void = {}) {
        state = Mutex(State(table: table))
        self.onLookup = onLookup
    }

    // MARK: Connections

    package func openConnection(_ connection: some SessionConnection) -> UInt64 {
        state.withLock { state in
            let number = state.table.openConnection()
            state.routes[number] = Route(connection: connection)
            return number
        }
    }

    package func closeConnection(_ number: UInt64) {
        let notified = state.withLock { state in
            state.routes[number] = nil
            // No connection waits for these lookups any more.
            for key in state.table.close(connection: number) {
                state.lookups.remove(key)
                state.failedLookups.remove(key)
            }
            // A session that is open on an older connection is acknowledged there now.
            return state.takeNotified()
        }
        notify(notified)
    }

    /// A session's first frame on a connection.
    package func open(_ key: SessionKey, on connection: UInt64) -> SessionOpening {
        let opening = state.withLock { state in
            let opening = state.table.open(key, on: connection)
            if opening == .ask {
                state.lookups.insert(key)
                state.failedLookups.remove(key)
            }
            return opening
        }
        if opening == .ask { onLookup() }
        return opening
    }

    /// What the session's welcome says; nil when the session has gone on to another connection.
    package func welcome(_ key: SessionKey, on connection: UInt64) -> SequenceRanges? {
        state.withLock { $0.table.welcome(key, on: connection) }
    }

    /// Whether all is known of the session that can be known now: the database has answered, or does not answer.
    package func isLookedUp(_ key: SessionKey) -> Bool {
        state.withLock { state in state.failedLookups.remove(key) != nil || !state.table.needsLookup(key) }
    }

    /// Whether nothing more will come of the frames of these sessions on a connection: all are durable, or refused and their
    /// refusals sent.
    package func areSettled(_ keys: Set<SessionKey>, on connection: UInt64) -> Bool {
        state.withLock { state in
            state.routes[connection]?.refusalsPending ?? 0 == 0 && state.table.areDurable(keys)
        }
    }

    /// A connection has sent a refusal of `refused`.
    package func refusalSent(on connection: UInt64) {
        state.withLock { $0.routes[connection]?.refusalsPending -= 1 }
    }

    package func takeAcknowledgements(for connection: UInt64) -> [SessionFrames] {
        state.withLock { state in
            state.routes[connection]?.isNotified = false
            return state.table.takeAcknowledgements(for: connection)
        }
    }

    /// Gives each numbered frame its verdict. Those that the accounting cannot keep are taken out and given back.
    ///
    /// - Returns: `isCrowded`: there is no room to remember a frame now. Such frames are taken out; they may come again later.
    package func judge(_ arrivals: inout [FrameArrival]) -> (refused: [FrameIdentity], isCrowded: Bool) {
        state.withLock { state in
            var refused: [FrameIdentity] = []
            var isCrowded = false
            var index = 0
            while index < arrivals.count {
                // Frames of one session tend to follow each other: it is looked up once for a run of them.
                let key = SessionKey(arrivals[index].identity)
                state.table.admit(key) { admit in
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
    package func withdraw(_ identities: [FrameIdentity]) {
        state.withLock { state in
            for identity in identities { state.withdraw(identity) }
        }
    }

    // MARK: Lanes and the spill

    /// Frames are durable: their clients get acknowledgements.
    package func durable(_ frames: [SessionFrames]) {
        guard !frames.isEmpty else { return }
        let notified = state.withLock { state in
            state.table.durable(frames)
            return state.takeNotified()
        }
        notify(notified)
    }

    /// Frames that an earlier run's spill holds durably.
    package func recovered(_ frames: [SessionFrames]) { state.withLock { $0.table.recovered(frames) } }

    /// Frames were found malformed before they were acknowledged: their clients get refusals.
    package func refused(_ frames: [(identity: FrameIdentity, error: FrameError, records: Int)]) {
        for (identity, error, records) in frames {
            let connection = state.withLock { state in
                state.withdraw(identity)
                return state.table.connection(of: SessionKey(identity)).flatMap { number in
                    state.routes[number]?.refusalsPending += 1
                    return state.routes[number]?.connection
                }
            }
            connection?.refuse(identity, error, records: records)
        }
    }

    // MARK: Lookups

    /// The sessions that are to be looked up in the database. Each is given once.
    package func takeLookups() -> [SessionKey] {
        state.withLock { state in
            defer { state.lookups = [] }
            return state.lookups.sorted()
        }
    }

    /// What the database has of each session.
    package func lookupFound(_ stored: [SessionKey: SequenceRanges]) {
        let notified = state.withLock { state in
            for (key, ranges) in stored { state.table.stored(key, ranges) }
            return state.takeNotified() + stored.keys.compactMap { state.takeNotified($0) }
        }
        notify(notified)
    }

    /// The database does not answer now.
    package func lookupFailed(_ keys: [SessionKey]) {
        let notified = state.withLock { state in
            state.failedLookups.formUnion(keys.filter { state.table.connection(of: $0) != nil })
            return keys.compactMap { state.takeNotified($0) }
        }
        notify(notified)
    }

    private func notify(_ connections: [any SessionConnection]) {
        for connection in connections { connection.notify() }
    }
}

extension SessionRegistry.State {
    /// The connections that have something to send and were not notified of it.
    fileprivate mutating func takeNotified() -> [any SessionConnection] {
        table.connectionsToNotify.compactMap { takeNotified(connection: $0) }
    }

    fileprivate mutating func takeNotified(_ key: SessionKey) -> (any SessionConnection)? {
        table.connection(of: key).flatMap { takeNotified(connection: $0) }
    }

    private mutating func takeNotified(connection: UInt64) -> (any SessionConnection)? {
        guard let route = routes[connection], !route.isNotified else { return nil }
        routes[connection]?.isNotified = true
        return route.connection
    }

    fileprivate mutating func withdraw(_ identity: FrameIdentity) {
        guard identity.sequence > 0 else { return }
        var sequences = SequenceRanges()
        sequences.insert(identity.sequence)
        table.withdraw(SessionKey(identity), sequences)
    }
}

extension FrameArrival {
    /// Notes the frame's admission. One without a number, which is never acknowledged, is always fresh.
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
