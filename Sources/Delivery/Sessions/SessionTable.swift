// What the collector remembers of each TCP session, frame by frame: which frames are on their way, which are durable, and what
// its client has heard of. Decides which frames are acknowledged to which connection, and which frames are resent ones.
//
// Limits: `sessionsMax` sessions of `rangesPerSessionMax` ranges each, and one range for each hole that frames on their way
// leave: about 300 bytes a session, 16 more a range. This memory is not what exactly-once rests on. What is forgotten here is
// only ever durable; the database closes gaps when a session opens on a connection, and `spillway.session_frames` refuses a
// frame that is stored already. So a frame that comes again after it was forgotten costs a second way through the collector
// and is stored once.
// Invariants: durable frames are accepted ones; what is unacknowledged is durable; a frame on its way is never forgotten.

import Accounting
import FrameCodec

/// Why a numbered frame is taken or not.
public enum FrameAdmission: Equatable, Sendable {
    /// It goes on its way.
    case fresh
    /// It came before: it goes no further. Durable ones are acknowledged again.
    case resent
    /// Its sequence is not one that the ledger can keep: 0, or beyond `SessionTable.sequenceMax`.
    case refused
    /// There is no room to remember it now: all that is remembered is on its way. It may come again.
    case crowded
}

/// What a client learns when its session begins on a connection.
public enum SessionOpening: Equatable, Sendable {
    /// The database knows nothing that is not known here.
    case welcome(SequenceRanges)
    /// Another collector, or an earlier run, may have stored frames of this session: the database must be asked first.
    case ask
    /// There is no room for another session: its numbered frames are not taken now.
    case refused
}

/// The book of sessions. A plain value: no clock, no I/O; its owner locks it.
public struct SessionTable: Sendable {
    public struct Limits: Sendable {
        public var sessionsMax = SessionLimits.sessionsMax
        public var rangesPerSessionMax = SessionLimits.rangesPerSessionMax

        public init() {}
    }

    /// The ledger keeps sequences as BIGINT.
    public static let sequenceMax = UInt64(Int64.max) - 1

    private let limits: Limits
    private let hasStore: Bool
    private var sessions: [SessionKey: Session] = [:]
    /// The sessions of each connection, and which of them have something to acknowledge.
    private var connections: [UInt64: Set<SessionKey>] = [:]
    private var unacknowledged: [UInt64: Set<SessionKey>] = [:]
    private var lastConnection: UInt64 = 0
    /// False once a full book was searched in vain, until something has changed.
    private var mayHaveSpareSessions = true

    /// - Parameter hasStore: whether a database may know more of a session than this run; else no session is looked up.
    public init(limits: Limits = Limits(), hasStore: Bool) {
        self.limits = limits
        self.hasStore = hasStore
    }

    public var sessionCount: Int { sessions.count }

    // MARK: Connections

    /// A number for a new connection, from 1; never used twice.
    public mutating func openConnection() -> UInt64 {
        lastConnection += 1
        return lastConnection
    }

    /// The connection has ended. A session that is still open on an older connection is acknowledged there from now on: all
    /// that is durable of it, since nothing is known of what that connection has heard.
    ///
    /// - Returns: the sessions that are open on no connection any more.
    @discardableResult
    public mutating func close(connection: UInt64) -> [SessionKey] {
        unacknowledged[connection] = nil
        mayHaveSpareSessions = true
        var closed: [SessionKey] = []
        for key in connections.removeValue(forKey: connection) ?? [] where sessions[key] != nil {
            withSession(key) { session in
                let wasLast = session.connection == connection
                session.connections.removeAll { $0 == connection }
                if wasLast { session.unacknowledged = session.connections.isEmpty ? SequenceRanges() : session.durable }
                if session.connections.isEmpty {
                    session.needsLookup = false
                    closed.append(key)
                }
            }
        }
        return closed
    }

    /// The first frame of a session on a connection, which from now on gets the session's acknowledgements.
    ///
    /// The database is asked at every opening: another collector may have stored frames meanwhile, which are gaps here.
    public mutating func open(_ key: SessionKey, on connection: UInt64) -> SessionOpening {
        guard makeRoom(for: key) else { return .refused }
        var session = takeSession(key)
        if let former = session.connection { forget(key, for: former) }
        session.connections.removeAll { $0 == connection }
        session.connections.append(connection)
        session.needsLookup = hasStore
        // The welcome says all that is durable until it is made.
        session.unacknowledged = SequenceRanges()
        connections[connection, default: []].insert(key)
        let opening: SessionOpening = hasStore ? .ask : .welcome(session.durable)
        putBack(session, key)
        return opening
    }

    /// What a welcome says now: everything durable, which is then known to the client.
    public mutating func welcome(_ key: SessionKey, on connection: UInt64) -> SequenceRanges? {
        guard let session = sessions[key], session.connection == connection else { return nil }
        sessions[key]?.unacknowledged = SequenceRanges()
        forget(key, for: connection)
        return session.durable
    }

    /// Whether all frames of these sessions that were taken are durable.
    public func areDurable(_ keys: some Sequence<SessionKey>) -> Bool {
        keys.allSatisfy { key in sessions[key].map { $0.accepted == $0.durable } ?? true }
    }

    /// The connections that have something to acknowledge.
    public var connectionsToNotify: [UInt64] { Array(unacknowledged.keys) }

    /// The connection that gets the session's acknowledgements.
    public func connection(of key: SessionKey) -> UInt64? { sessions[key]?.connection }

    /// Acknowledgements for a connection: each of at most `FrameLimits.rangesMax` ranges. They count as sent.
    public mutating func takeAcknowledgements(for connection: UInt64) -> [SessionFrames] {
        var taken: [SessionFrames] = []
        for key in (unacknowledged.removeValue(forKey: connection) ?? []).sorted() {
            guard var ranges = sessions[key]?.unacknowledged else { continue }
            sessions[key]?.unacknowledged = SequenceRanges()
            while !ranges.isEmpty {
                taken.append(SessionFrames(key: key, sequences: ranges.takeFirst(FrameLimits.rangesMax)))
            }
        }
        return taken
    }

    // MARK: Frames

    /// A numbered frame came. O(1) in order, else O(ranges).
    public mutating func admit(_ key: SessionKey, _ sequence: UInt64) -> FrameAdmission {
        var admission = FrameAdmission.refused
        admit(key) { admit in admission = admit(sequence) }
        return admission
    }

    /// Numbered frames of one session came: `body` asks for each of them, and the session is found once.
    public mutating func admit(_ key: SessionKey, _ body: (_ admit: (UInt64) -> FrameAdmission) -> Void) {
        // Made by the first frame that it can remember.
        var session: Session?
        body { sequence in
            guard sequence > 0, sequence <= Self.sequenceMax else { return .refused }
            if session == nil {
                guard makeRoom(for: key) else { return .crowded }
                session = takeSession(key)
            }
            guard let admission = session?.admit(sequence, rangesMax: limits.rangesPerSessionMax) else {
                preconditionFailure("the session was taken out above")
            }
            return admission
        }
        if let session { putBack(session, key) }
    }

    /// Frames that were admitted and are not on their way after all. They may come again.
    public mutating func withdraw(_ key: SessionKey, _ sequences: SequenceRanges) {
        guard sessions[key] != nil else { return }
        mayHaveSpareSessions = true
        withSession(key) { session in
            session.accepted.subtract(sequences)
            session.durable.subtract(sequences)
            session.unacknowledged.subtract(sequences)
        }
    }

    /// Frames are durable: committed, or synced to the spill.
    public mutating func durable(_ frames: [SessionFrames]) {
        for frames in frames { durable(frames.key, frames.sequences) }
    }

    /// What the database has of a session now, by whichever collector stored it.
    public mutating func stored(_ key: SessionKey, _ sequences: SequenceRanges) {
        sessions[key]?.needsLookup = false
        durable(key, sequences)
    }

    private mutating func durable(_ key: SessionKey, _ sequences: SequenceRanges) {
        guard sessions[key] != nil else { return }
        mayHaveSpareSessions = true
        let rangesMax = limits.rangesPerSessionMax
        withSession(key) { session in
            session.accepted.formUnion(sequences)
            session.durable.formUnion(sequences)
            for range in sequences.ranges { session.acknowledge(range) }
            session.forgetLowestRanges(rangesMax: rangesMax)
        }
    }

    /// Whether the database is still to be asked for a session that was opened.
    public func needsLookup(_ key: SessionKey) -> Bool { sessions[key]?.needsLookup ?? false }

    /// Frames that the spill of an earlier run holds durably, so that welcomes can say it. Before any connection. What finds no
    /// room is forgotten: if it comes again it is stored once all the same.
    public mutating func recovered(_ frames: [SessionFrames]) {
        let rangesMax = limits.rangesPerSessionMax
        for frames in frames {
            guard sessions[frames.key] != nil || sessions.count < limits.sessionsMax else { continue }
            withSession(frames.key) { session in
                session.accepted.formUnion(frames.sequences)
                session.durable.formUnion(frames.sequences)
                session.forgetLowestRanges(rangesMax: rangesMax)
            }
        }
    }

    /// The session has nothing to acknowledge on this connection.
    private mutating func forget(_ key: SessionKey, for connection: UInt64) {
        unacknowledged[connection]?.remove(key)
        if unacknowledged[connection]?.isEmpty == true { unacknowledged[connection] = nil }
    }

    // MARK: Room

    private mutating func withSession(_ key: SessionKey, _ body: (inout Session) -> Void) {
        var session = takeSession(key)
        body(&session)
        putBack(session, key)
    }

    /// Takes the session out while it changes, so that its ranges are not copied. `putBack` follows.
    private mutating func takeSession(_ key: SessionKey) -> Session { sessions.removeValue(forKey: key) ?? Session() }

    private mutating func putBack(_ session: consuming Session, _ key: SessionKey) {
        if let connection = session.connection, !session.unacknowledged.isEmpty {
            unacknowledged[connection, default: []].insert(key)
        }
        sessions[key] = session
    }

    /// Forgets sessions when the book is full: those that no connection has open and whose frames are all durable.
    /// O(1) amortised.
    private mutating func makeRoom(for key: SessionKey) -> Bool {
        guard sessions.count >= limits.sessionsMax, sessions[key] == nil else { return true }
        guard mayHaveSpareSessions else { return false }
        var spare = max(1, limits.sessionsMax / 8)
        for (key, session) in sessions where session.canBeForgotten {
            sessions[key] = nil
            spare -= 1
            if spare == 0 { break }
        }
        mayHaveSpareSessions = sessions.count < limits.sessionsMax
        return mayHaveSpareSessions
    }
}
