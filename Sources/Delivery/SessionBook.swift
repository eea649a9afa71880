// What the collector has of each TCP session, frame by frame: which frames are on their way, which are durable, and what
// its client was told. Decides who is acknowledged what, and which frames are resent ones.
//
// Limits: `sessionsMax` sessions of `rangesPerSessionMax` ranges each: about 300 bytes a session, 16 more a range.
// Invariants: durable frames are accepted ones; what waits to be told is durable; a session that has frames on their way
// or in the spill is never forgotten, since only the database could tell of them again.

import FrameCodec

/// Why a numbered frame is taken or not.
public enum FrameAdmission: Equatable, Sendable {
    /// It goes on its way.
    case fresh
    /// It came before: it goes no further. Durable ones are acknowledged again.
    case resent
    /// It can never be remembered, so it could be stored twice: too many gaps in its session, or a sequence beyond
    /// `SessionBook.sequenceMax`.
    case refused
    /// There are too many sessions now. It may come again.
    case crowded
}

/// What a client is told when its session begins on a connection.
public enum SessionOpening: Equatable, Sendable {
    /// All that is known of the session is known.
    case welcome(SequenceRanges)
    /// An earlier run may have stored frames of this session: the database must be asked first.
    case ask
    /// There is no room for another session: its numbered frames are refused.
    case refused
}

/// The book of sessions. A plain value: no clock, no I/O; its owner locks it.
public struct SessionBook: Sendable {
    public struct Limits: Sendable {
        public var sessionsMax = 65_536
        public var rangesPerSessionMax = FrameLimits.rangesMax

        public init() {}
    }

    /// The ledger keeps sequences as BIGINT.
    public static let sequenceMax = UInt64(Int64.max) - 1

    struct Session {
        /// On their way or durable.
        var accepted = SequenceRanges()
        /// Committed, or synced to the spill.
        var durable = SequenceRanges()
        /// What earlier runs had stored when the database was asked; nil before.
        var storedBefore: SequenceRanges?
        /// Durable, and not told to `connection` yet.
        var untold = SequenceRanges()
        /// Whom acknowledgements go to: where the session was last heard of.
        var connection: UInt64?
        /// Accepted frames that are not committed.
        var openFrames: UInt64 = 0
    }

    private let limits: Limits
    private let hasStore: Bool
    private var sessions: [SessionKey: Session] = [:]
    /// The sessions of each connection, and which of them have something to be told.
    private var connections: [UInt64: Set<SessionKey>] = [:]
    private var untold: [UInt64: Set<SessionKey>] = [:]
    private var lastConnection: UInt64 = 0
    /// False once a full book was looked through in vain, until something has changed.
    private var mayHaveSpareSessions = true

    /// - Parameter hasStore: whether earlier runs may have left something; else no session is asked for.
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

    /// The connection is gone: its sessions have nobody to be told.
    ///
    /// - Returns: these sessions.
    @discardableResult
    public mutating func close(connection: UInt64) -> [SessionKey] {
        untold[connection] = nil
        mayHaveSpareSessions = true
        let keys = (connections.removeValue(forKey: connection) ?? []).filter { sessions[$0]?.connection == connection }
        for key in keys {
            sessions[key]?.connection = nil
            sessions[key]?.untold = SequenceRanges()
        }
        return Array(keys)
    }

    /// Whether the session is in the book.
    public func knows(_ key: SessionKey) -> Bool { sessions[key] != nil }

    /// The first frame of a session on a connection, which from now on is told what becomes of the session's frames.
    public mutating func open(_ key: SessionKey, on connection: UInt64) -> SessionOpening {
        guard makeRoom(for: key) else { return .refused }
        var session = sessions[key] ?? newSession()
        if let former = session.connection, former != connection {
            forget(key, for: former)
            connections[former]?.remove(key)
        }
        session.connection = connection
        // The welcome tells all that is durable until it is made.
        session.untold = SequenceRanges()
        forget(key, for: connection)
        connections[connection, default: []].insert(key)
        let opening: SessionOpening = session.storedBefore == nil ? .ask : .welcome(session.durable)
        sessions[key] = session
        return opening
    }

    /// What a welcome says now: everything durable, which is then told.
    public mutating func welcome(_ key: SessionKey, on connection: UInt64) -> SequenceRanges? {
        guard var session = sessions[key], session.connection == connection else { return nil }
        session.untold = SequenceRanges()
        forget(key, for: connection)
        let durable = session.durable
        sessions[key] = session
        return durable
    }

    /// Whether all frames of these sessions that were taken are durable.
    public func areDurable(_ keys: some Sequence<SessionKey>) -> Bool {
        keys.allSatisfy { key in sessions[key].map { $0.accepted == $0.durable } ?? true }
    }

    /// The connections that have something to be told.
    public var connectionsToTell: [UInt64] { Array(untold.keys) }

    /// Where the session was last heard of, if that connection is still there.
    public func connection(of key: SessionKey) -> UInt64? { sessions[key]?.connection }

    /// Acknowledgements for a connection: each of at most `FrameLimits.rangesMax` ranges. They count as told.
    public mutating func takeAcknowledgements(for connection: UInt64) -> [SessionFrames] {
        var taken: [SessionFrames] = []
        for key in (untold.removeValue(forKey: connection) ?? []).sorted() {
            guard var session = sessions[key] else { continue }
            while !session.untold.isEmpty {
                taken.append(
                    SessionFrames(key: key, sequences: session.untold.takeFirst(FrameLimits.rangesMax)))
            }
            sessions[key] = session
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

    /// Numbered frames of one session came: `body` asks for each of them, and the session is looked up once.
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
                preconditionFailure("the session is taken out by here")
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
            session.untold.subtract(sequences)
            session.openFrames -= min(session.openFrames, sequences.count)
        }
    }

    /// Frames are durable: committed, or synced to the spill.
    public mutating func durable(_ frames: [SessionFrames]) {
        for frames in frames where sessions[frames.key] != nil {
            withSession(frames.key) { session in
                session.durable.formUnion(frames.sequences)
                for range in frames.sequences.ranges { session.tell(range) }
            }
        }
    }

    /// Frames are committed, or settled in another way: nothing of them is open any more.
    public mutating func settled(_ frames: [SessionFrames]) {
        for frames in frames {
            guard let open = sessions[frames.key]?.openFrames else { continue }
            sessions[frames.key]?.openFrames = open - min(open, frames.sequences.count)
            mayHaveSpareSessions = true
        }
    }

    /// Frames that the spill held are committed. Where they stand in another batch of the spill too, they are passed over
    /// there: a segment that could not be read at one start and was at the next may hold what its client sent again.
    public mutating func replayed(_ frames: [SessionFrames]) {
        for frames in frames where sessions[frames.key] != nil {
            withSession(frames.key) { $0.storedBefore?.formUnion(frames.sequences) }
        }
    }

    /// Frames that were on their way are lost. Those that are not durable may come again.
    public mutating func lost(_ frames: [SessionFrames]) {
        settled(frames)
        for frames in frames where sessions[frames.key] != nil {
            withSession(frames.key) { session in
                var open = frames.sequences
                open.subtract(session.durable)
                session.accepted.subtract(open)
            }
        }
    }

    /// Frames that the spill of an earlier run holds. Before any connection.
    ///
    /// - Parameter isDurable: else they are on their way, and their clients are told once they are stored.
    public mutating func recovered(_ frames: [SessionFrames], isDurable: Bool) {
        for frames in frames {
            var session = sessions[frames.key] ?? newSession()
            // A copy of a batch adds nothing.
            var added = frames.sequences
            added.subtract(session.accepted)
            session.openFrames += added.count
            session.accepted.formUnion(frames.sequences)
            if isDurable { session.durable.formUnion(frames.sequences) }
            sessions[frames.key] = session
        }
    }

    // MARK: What earlier runs stored

    /// Whose sessions among these the database was not asked for yet.
    public func unasked(_ frames: [SessionFrames]) -> [SessionKey] {
        guard hasStore else { return [] }
        return frames.map(\.key).filter { sessions[$0]?.storedBefore == nil }
    }

    /// What the database has of a session. The first answer counts: what it has later includes what this run stored.
    public mutating func asked(_ key: SessionKey, stored: SequenceRanges) {
        guard sessions[key]?.storedBefore == nil else { return }
        askedAgain(key, stored: stored)
    }

    /// What the database has of a session now, since others have stored frames of it meanwhile. It may have what this run
    /// stored as well: that does not come again.
    public mutating func askedAgain(_ key: SessionKey, stored: SequenceRanges) {
        if sessions[key] == nil { sessions[key] = newSession() }
        withSession(key) { session in
            session.storedBefore = session.storedBefore ?? SequenceRanges()
            session.storedBefore?.formUnion(stored)
            session.accepted.formUnion(stored)
            session.durable.formUnion(stored)
            for range in stored.ranges { session.tell(range) }
        }
    }

    /// Which of these frames an earlier run has stored already: they must not be stored again. By session, only where
    /// there are any.
    public func storedBefore(_ frames: [SessionFrames]) -> [SessionKey: SequenceRanges] {
        var found: [SessionKey: SequenceRanges] = [:]
        for frames in frames {
            guard let stored = sessions[frames.key]?.storedBefore, stored.intersects(frames.sequences) else { continue }
            found[frames.key] = stored
        }
        return found
    }

    /// The session has nothing to be told on this connection.
    private mutating func forget(_ key: SessionKey, for connection: UInt64) {
        untold[connection]?.remove(key)
        if untold[connection]?.isEmpty == true { untold[connection] = nil }
    }

    // MARK: Room

    private func newSession() -> Session {
        var session = Session()
        if !hasStore { session.storedBefore = SequenceRanges() }
        return session
    }

    @discardableResult
    private mutating func withSession<Result>(_ key: SessionKey, _ body: (inout Session) -> Result) -> Result {
        var session = takeSession(key)
        let result = body(&session)
        putBack(session, key)
        return result
    }

    /// Takes the session out while it changes, so that its ranges are not copied. `putBack` follows.
    private mutating func takeSession(_ key: SessionKey) -> Session {
        sessions.removeValue(forKey: key) ?? newSession()
    }

    private mutating func putBack(_ session: consuming Session, _ key: SessionKey) {
        if let connection = session.connection, !session.untold.isEmpty {
            untold[connection, default: []].insert(key)
        }
        sessions[key] = session
    }

    /// Forgets sessions that the database can tell of when the book is full. O(1) amortised.
    private mutating func makeRoom(for key: SessionKey) -> Bool {
        guard sessions.count >= limits.sessionsMax, sessions[key] == nil else { return true }
        guard mayHaveSpareSessions else { return false }
        var spare = max(1, limits.sessionsMax / 8)
        for (key, session) in sessions where session.openFrames == 0 && session.connection == nil {
            sessions[key] = nil
            spare -= 1
            if spare == 0 { break }
        }
        mayHaveSpareSessions = sessions.count < limits.sessionsMax
        return mayHaveSpareSessions
    }
}

extension SessionBook.Session {
    fileprivate mutating func admit(_ sequence: UInt64, rangesMax: Int) -> FrameAdmission {
        guard !accepted.contains(sequence) else {
            if durable.contains(sequence) { tell(sequence..<sequence + 1) }
            return .resent
        }
        accepted.insert(sequence)
        guard accepted.ranges.count <= rangesMax else {
            accepted.remove(sequence)
            return .refused
        }
        openFrames += 1
        return .fresh
    }

    /// Notes that the client is to be told. Without a connection the next welcome tells it.
    fileprivate mutating func tell(_ range: Range<UInt64>) {
        if connection != nil { untold.insert(range) }
    }
}
