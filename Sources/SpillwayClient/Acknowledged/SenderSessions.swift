// The sessions of a sender: one to which frames are added, and before it those that have ended and still have frames without an
// acknowledgement. No I/O and no clock.
//
// A collector that cannot remember a frame of a session (refusal 44) may refuse all that follow in it, so a new session begins.
// What was written stays in its session, since another collector may have stored it under that sequence.
//
// Limits: each ended session but the last one has a frame that was written and not acknowledged, or a heartbeat without an answer.
// Invariant: the callers' numbers of frames ascend over all sessions, and each session has the numbers from its first one to
// before that of the next session; a sequence is the number less the session's `offset`.

/// A list of sessions, the oldest first.
struct SenderSessions {
    private struct Session {
        let identity: SourceIdentity
        /// The caller's number of the first frame; nil before there is one.
        var firstNumber: UInt64?
        var offset: UInt64 = 0
        /// The number of the last frame, 0 before the first one.
        var lastNumber: UInt64 = 0
        var frames: UInt64 = 0
        var records: UInt64 = 0
        var bytes: UInt64 = 0
        /// What was written whole of them, and the number of the last one; 0 before the first.
        var written = UnacknowledgedFrames.Written()
        var lastWrittenNumber: UInt64 = 0
        /// Frames that the last heartbeat of this session reported.
        var framesReported: UInt64 = 0
        /// Records that the client dropped before they got into a frame, while this was the last session.
        var recordsDropped: UInt64 = 0
        var isWelcomed = false
        /// Until then a welcome is waited for, on the monotonic clock.
        var welcomeDeadlineNanoseconds: UInt64
        /// Of a session that has ended: how far its last heartbeat is.
        var report = Report.due

        enum Report {
            case due
            case queued
            case written
        }

        func mayWrite(_ nowNanoseconds: UInt64) -> Bool {
            isWelcomed || nowNanoseconds >= welcomeDeadlineNanoseconds
        }

        /// The numbers of frames, from sequences of this session.
        func numbers(_ sequences: Range<UInt64>) -> Range<UInt64>? {
            guard let firstNumber, lastNumber >= firstNumber else { return nil }
            let first = max(sequences.lowerBound, firstNumber - offset)
            let end = min(sequences.upperBound, lastNumber - offset + 1)
            return first < end ? first + offset..<end + offset : nil
        }

        /// The totals of what was written: what waits was not sent yet, and a collector that hears of it before it comes would
        /// take the session for an older one.
        func heartbeat(baseTime: Int64) -> [UInt8] {
            HeartbeatFrame(
                framesSent: written.frames, recordsSent: written.records, bytesSent: written.bytes,
                recordsDropped: recordsDropped, name: identity.name
            ).encoded(identity.frame(sequence: lastWrittenSequence), baseTime: baseTime)
        }

        /// 0 before the first.
        var lastWrittenSequence: UInt64 { lastWrittenNumber - min(offset, lastWrittenNumber) }
    }

    private var sessions: [Session]
    private var isRenewed = false
    /// Of the present connection.
    private var marks = HeartbeatMarks()
    /// Dropped in all sessions before the last one.
    private var recordsDroppedBefore: UInt64 = 0

    init(first identity: SourceIdentity) {
        sessions = [Session(identity: identity, welcomeDeadlineNanoseconds: 0)]
    }

    private var last: Int { sessions.count - 1 }
    /// That of the frames that are added now.
    var current: SourceIdentity { sessions[last].identity }
    var hasEndedSessions: Bool { sessions.count > 1 }

    // MARK: Frames

    /// Adds a frame to the last session.
    ///
    /// - Parameter number: less than 2^64 - 1, so that the range of a session's numbers has an end.
    /// - Returns: the identity that it has there.
    mutating func add(number: UInt64, records: Int, bytes: Int) -> FrameIdentity {
        precondition(number > 0 && number < .max)
        let identity = place(number)
        sessions[last].frames += 1
        sessions[last].records += UInt64(records)
        sessions[last].bytes += UInt64(bytes)
        return identity
    }

    /// Frames were written whole for the first time.
    ///
    /// - Parameter lastNumber: of the last one. All of them are of its session: those of the next one wait for its welcome.
    mutating func wrote(_ written: UnacknowledgedFrames.Written, lastNumber: UInt64) {
        guard written.frames > 0,
            let index = sessions.lastIndex(where: { $0.firstNumber.map { $0 <= lastNumber } ?? false })
        else { return }
        sessions[index].written.frames += written.frames
        sessions[index].written.records += written.records
        sessions[index].written.bytes += written.bytes
        sessions[index].lastWrittenNumber = lastNumber
    }

    /// Frames of a session that an earlier run of the program has sent: its totals include them.
    mutating func storedEarlier(_ index: Int, frames: UInt64, records: UInt64) {
        sessions[index].written.frames += frames
        sessions[index].written.records += records
    }

    /// Whether something was written since the last heartbeat of the session that it is in.
    var hasUnreportedFrames: Bool { sessions.contains { $0.framesReported < $0.written.frames } }

    private mutating func place(_ number: UInt64) -> FrameIdentity {
        if sessions[last].firstNumber == nil {
            sessions[last].firstNumber = number
            // The first session has the numbers of its caller; those after it begin with 1.
            sessions[last].offset = isRenewed ? number - 1 : 0
        }
        sessions[last].lastNumber = number
        return current.frame(sequence: number - sessions[last].offset)
    }

    /// Begins a new session, with the frames of the last one that were never written.
    mutating func renew(_ frames: inout UnacknowledgedFrames, welcomeDeadlineNanoseconds: UInt64) {
        isRenewed = true
        let ended = last
        sessions.append(
            Session(
                identity: current.renewed(), welcomeDeadlineNanoseconds: welcomeDeadlineNanoseconds))
        let moved = frames.restampUnwritten(from: sessions[ended].firstNumber ?? .max) { place($0) }
        sessions[last].frames = moved.frames
        sessions[last].records = moved.records
        sessions[last].bytes = moved.bytes
        sessions[ended].lastNumber = moved.lastKeptSequence
        sessions[ended].frames -= moved.frames
        sessions[ended].records -= moved.records
        sessions[ended].bytes -= moved.bytes
        recordsDroppedBefore += sessions[ended].recordsDropped
    }

    /// - Parameter recordsDropped: by the client in all sessions.
    mutating func dropped(_ recordsDropped: UInt64) {
        sessions[last].recordsDropped = max(recordsDropped, recordsDroppedBefore) - recordsDroppedBefore
    }

    // MARK: The connection

    /// A connection has begun: each session has to be opened on it.
    mutating func connected(welcomeDeadlineNanoseconds: UInt64) {
        marks.removeAll()
        for index in sessions.indices {
            sessions[index].isWelcomed = false
            sessions[index].welcomeDeadlineNanoseconds = welcomeDeadlineNanoseconds
            sessions[index].report = .due
        }
    }

    /// The heartbeats that are due: of ended sessions the last one, and that of the last session.
    mutating func takeHeartbeats(baseTime: Int64) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in sessions.indices where index == last || sessions[index].report == .due {
            if index < last { sessions[index].report = .queued }
            sessions[index].framesReported = sessions[index].written.frames
            bytes += sessions[index].heartbeat(baseTime: baseTime)
            marks.wroteHeartbeat(session: session(index), sequence: sessions[index].lastWrittenSequence)
        }
        return bytes
    }

    /// What `takeHeartbeats` gave is written.
    mutating func wroteHeartbeats() {
        for index in sessions.indices where sessions[index].report == .queued { sessions[index].report = .written }
    }

    /// The number of the first frame that must not be written yet: a session's frames come after its welcome.
    func firstHeldBack(nowNanoseconds: UInt64) -> UInt64 {
        sessions.first { !$0.mayWrite(nowNanoseconds) }.map { $0.firstNumber ?? .max } ?? .max
    }

    mutating func welcomed(_ index: Int) { sessions[index].isWelcomed = true }

    /// Forgets ended sessions that need nothing more: their frames are acknowledged or refused, and their last heartbeat has
    /// arrived, because the session after them, whose heartbeat follows theirs, is welcomed.
    ///
    /// - Parameter oldestNumber: of the frames that are open.
    mutating func removeEnded(oldestNumber: UInt64?, nowNanoseconds: UInt64) {
        while sessions.count > 1, sessions[0].report == .written, sessions[1].mayWrite(nowNanoseconds),
            oldestNumber.map({ $0 > sessions[0].lastNumber }) ?? true
        {
            sessions.removeFirst()
        }
    }

    // MARK: Replies

    /// The place of the session that a reply is for.
    func index(of identity: FrameIdentity) -> Int? {
        sessions.firstIndex { $0.identity.source == identity.source && $0.identity.session == identity.session }
    }

    func isCurrent(_ index: Int) -> Bool { index == last }
    func session(_ index: Int) -> UInt64 { sessions[index].identity.session }

    /// The callers' numbers of a session's frames.
    func numbers(of sequences: SequenceRanges, in index: Int) -> SequenceRanges {
        SequenceRanges(sequences.ranges.compactMap { sessions[index].numbers($0) })
    }

    /// The number of a session's frame; nil when the session has no such frame.
    func number(of sequence: UInt64, in index: Int) -> UInt64? {
        guard sequence < .max else { return nil }
        return sessions[index].numbers(sequence..<sequence + 1)?.lowerBound
    }

    /// Notes a refusal that names a frame of a session.
    ///
    /// - Returns: whether it may be that of a heartbeat.
    mutating func mayBeOfHeartbeat(_ sequence: UInt64, in index: Int) -> Bool {
        marks.refused(session: session(index), sequence: sequence)
    }

    /// The way back.
    func sequences(of numbers: SequenceRanges, in index: Int) -> SequenceRanges {
        let offset = sessions[index].offset
        return SequenceRanges(numbers.ranges.map { $0.lowerBound - offset..<$0.upperBound - offset })
    }
}
