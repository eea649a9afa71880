// One session's part of the accounting: its window, what was accepted of it, and what its client says that it sent.

/// What is kept of one session. Its shard's lock guards it.
struct SessionAccount {
    /// Which part of the session this account has seen.
    enum Beginning: UInt8 {
        /// The session from its first frame on.
        case seen
        /// An earlier run of the collector has received a part: heartbeats include frames that this run cannot know.
        case beforeRun
        /// An account that was evicted has, or may have, received a part. It counts no losses: what seems to be missing
        /// may have come before the eviction.
        case evicted
    }

    /// The owner of an account that is free.
    static let noOwner: Int32 = -1
    /// Frames of one session that may come after its eviction and still be taken off the losses counted for it.
    static let lateFramesMax = UInt16(SequenceWindow.widthFrames)

    // In this order, a frame touches one word of the window's bits and the bytes after them, and no more.
    private(set) var window = SequenceWindow()
    let session: UInt64
    /// When it was last used, as the shard's clock has it.
    private(set) var lastUsed: Int64
    /// Accepted frames and their records.
    private var frames: UInt64 = 0
    private var records: UInt64 = 0
    /// The place of its source in the shard.
    private(set) var owner: Int32
    /// Frames that may still be taken off the losses counted for it before.
    private var lateFramesLeft: UInt16
    private(set) var beginning: Beginning
    private var hasReport = false
    /// Its latest heartbeat.
    private var report = SessionReport.none

    /// - Parameter mayHaveLateFrames: it is known that an account of the session was evicted.
    init(session: UInt64, owner: Int32, beginning: Beginning, mayHaveLateFrames: Bool = false, lastUsed: Int64) {
        self.session = session
        self.owner = owner
        self.beginning = beginning
        self.lastUsed = lastUsed
        lateFramesLeft = mayHaveLateFrames ? Self.lateFramesMax : 0
    }

    var isFree: Bool { owner == Self.noOwner }

    mutating func free() { owner = Self.noOwner }

    /// Counts a numbered frame.
    ///
    /// - Parameter judged: the verdict of the session registry, or `.unjudged`.
    /// - Returns: that verdict, or else the window's; `.uncounted` for a frame that the session
    ///   cannot have sent: it is taken, and not counted here.
    mutating func receive(
        _ sequence: UInt64, records recordCount: Int32, judged: SequenceVerdict, at time: Int64
    ) -> SequenceVerdict {
        let silence = time &- lastUsed
        lastUsed = time
        let observed = window.observe(sequence, within: SequenceReach(silenceMicroseconds: silence))
        let verdict = judged == .unjudged ? observed : judged
        guard verdict != .duplicate else {
            // The registry has the frame from a time that this account has not seen.
            if observed != .duplicate, observed != .uncounted, beginning == .seen { beginning = .beforeRun }
            return verdict
        }
        // It may be anybody's: it is taken, and says nothing of what is missing.
        guard observed != .uncounted else { return .uncounted }
        frames &+= 1
        records &+= UInt64(recordCount)
        return verdict
    }

    /// Goes on with two frames that were not plausible one by one.
    mutating func restart(
        with first: (sequence: UInt64, records: Int32), and second: (sequence: UInt64, records: Int32)
    ) {
        window.restart(with: first.sequence, and: second.sequence)
        frames &+= 2
        records &+= UInt64(first.records) &+ UInt64(second.records)
    }

    /// - Returns: false when the session cannot have sent so much: then the report is left out.
    mutating func report(_ report: SessionReport, at time: Int64) -> Bool {
        let reach = SequenceReach(silenceMicroseconds: time &- lastUsed)
        lastUsed = time
        // Of another beginning the account knows too little, and reconciles nothing.
        guard beginning != .seen || reach.includes(report.framesSent, after: highestSequence) else { return false }
        // Totals never fall: an older heartbeat may come late, and a client that goes on with a session begins anew.
        self.report = SessionReport(
            framesSent: max(report.framesSent, self.report.framesSent),
            recordsSent: max(report.recordsSent, self.report.recordsSent),
            recordsDropped: max(report.recordsDropped, self.report.recordsDropped))
        hasReport = true
        return true
    }

    /// - Parameter stored: frames that are durable of the session.
    mutating func foundDurable(_ stored: UInt64) {
        if stored > frames, beginning == .seen { beginning = .beforeRun }
    }

    /// Whether a frame may be a late one from before an eviction; each `true` uses up one of `lateFramesMax`.
    mutating func takeLateFrame() -> Bool {
        guard lateFramesLeft > 0 else { return false }
        lateFramesLeft -= 1
        return true
    }

    /// Frames missing between those that came.
    var gapFrames: UInt64 { beginning == .evicted ? 0 : window.missingFrames }

    /// The highest sequence that its frames or its heartbeats name.
    var highestSequence: UInt64 { max(window.highest, report.framesSent) }

    var reconciliation: Reconciliation {
        var result = Reconciliation()
        guard hasReport else { return result }
        guard beginning == .seen else {
            result.sessionsBegunBefore = 1
            return result
        }
        result.sessions = 1
        result.framesSent = report.framesSent
        result.recordsSent = report.recordsSent
        result.recordsDroppedByClient = report.recordsDropped
        // More came than was reported when frames overtake the heartbeat.
        result.framesMissing = report.framesSent - min(frames, report.framesSent)
        result.recordsMissing = report.recordsSent - min(records, report.recordsSent)
        return result
    }
}
