import Glibc
import LinuxSystem
import SpillwayClient
import Text

/// Brings a feed's records, or the frames of a file, to a sink at the right moments.
struct FrameSender<Sink: FrameSink & ~Copyable>: ~Copyable {
    private var sink: Sink
    private let identity: SourceIdentity
    private let pacer: Pacer
    private var sequence: UInt64 = 0
    private var recordsGiven: UInt64 = 0
    private var progress = ProgressLine()
    /// It sends what others have put into frames.
    private var hasForeignFrames = false

    init(_ sink: consuming Sink, identity: SourceIdentity, pacer: Pacer) {
        self.sink = sink
        self.identity = identity
        self.pacer = pacer
    }

    var statistics: SendStatistics { sink.statistics }

    /// Sends all records of a feed. Those before a fault are sent before it is thrown, unless they are no whole frame and
    /// `wholeFramesOnly` is set.
    mutating func sendAll<Feed: RecordFeed & ~Copyable>(
        _ feed: inout Feed, _ encoder: inout FrameEncoder, wholeFramesOnly: Bool = false
    ) throws(CommandError) {
        do throws(CommandError) {
            loop: while true {
                switch try feed.appendNext(to: &encoder) {
                case .appended: continue
                case .frameFull: try sendFrame(&encoder)
                case .end: break loop
                }
            }
        } catch {
            if !wholeFramesOnly { try sendFrame(&encoder) }
            throw error
        }
        try sendFrame(&encoder)
    }

    private mutating func sendFrame(_ encoder: inout FrameEncoder) throws(CommandError) {
        let count = encoder.recordCount
        guard count > 0 else { return }
        sequence += 1
        try encoder.finish(identity.frame(sequence: sequence)) { (frame) throws(CommandError) in
            try send(frame, recordCount: count)
        }
    }

    /// Sends the frames of a file as they are, with the identities that they have.
    mutating func sendAll(_ frames: inout FrameInput) throws(CommandError) {
        hasForeignFrames = true
        while true {
            let sent: Void? = try frames.next { (frame, header) throws(CommandError) in
                let whole = frame.extracting(first: header.frameLength)
                try send(whole, recordCount: header.type == .records ? header.recordCount : 0)
            }
            if sent == nil { return }
        }
    }

    private mutating func send(_ frame: RawSpan, recordCount: Int) throws(CommandError) {
        let pause = pacer.nanosecondsUntilDue(afterRecords: recordsGiven)
        if pause > 0 {
            // What is due is on its way before the sleep.
            try sink.flush()
            Pacer.sleep(nanoseconds: pause)
        }
        try sink.send(frame, recordCount: recordCount)
        recordsGiven += UInt64(recordCount)
        progress.show(records: recordsGiven, seconds: pacer.elapsedSeconds)
    }

    /// Tells the collector the totals, so that a lost tail shows too.
    mutating func sendHeartbeat() throws(CommandError) {
        // First everything else, so that the totals are known.
        try sink.flush()
        let sent = sink.statistics
        let heartbeat = HeartbeatFrame(
            framesSent: sent.frames, recordsSent: sent.records, bytesSent: sent.bytes,
            // What the kernel did not take was numbered already: the collector sees the gap.
            recordsDropped: 0, name: identity.name)
        let bytes = heartbeat.encoded(identity.frame(sequence: sequence), baseTime: Timestamp.now)
        try sink.send(bytes.span.bytes, recordCount: 0)
    }

    /// Ends the sending.
    mutating func finish() throws(CommandError) -> (SendOutcome, SendMeasure) {
        let outcome = try sink.finish()
        progress.clear()
        return (
            outcome,
            SendMeasure(
                statistics: sink.statistics, seconds: pacer.elapsedSeconds, receipt: outcome.receipt,
                acknowledgements: outcome.acknowledgements, identity: hasForeignFrames ? nil : identity)
        )
    }
}

/// One line on a terminal that is written over again; nothing where standard error is a file.
struct ProgressLine {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var nextSeconds = 0.5

    mutating func show(records: UInt64, seconds: Double) {
        guard isTerminal, seconds >= nextSeconds else { return }
        nextSeconds = seconds + 0.5
        let rate = grouped(UInt64(Double(records) / seconds))
        writeStandardError("\r\(grouped(records)) records, \(rate) records/s\u{1B}[K")
    }

    func clear() { if isTerminal, nextSeconds > 0.5 { writeStandardError("\r\u{1B}[K") } }
}
