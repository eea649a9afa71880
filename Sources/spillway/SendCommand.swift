// Records or frames to a collector, with a measure of it.

import ArgumentParser
import Collector
import JSONLines
import SpillwayClient

/// `spillway send`
struct SendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Send records to a collector, and measure it.",
        discussion: """
            A file holds JSON lines, or frames, which are sent as they are. Over UDP nobody answers: what the \
            collector got stands in `spillway stats`. Over TCP the collector's receipt must say that everything \
            arrived; otherwise the exit code is 69.

            EXAMPLES:
              spillway send --to udp://127.0.0.1:8127 --generate routing --count 1000000 --rate 100000
              spillway send --to tcp://127.0.0.1:8127 --file records.jsonl --source import
              spillway encode records.jsonl | spillway send --to tcp://[::1]:8127 --file - --json
            """)

    @Option(help: ArgumentHelp("Where the collector listens.", valueName: "udp://HOST:PORT | tcp://HOST:PORT"))
    var to: String

    @Option(help: ArgumentHelp("A file of JSON lines or of frames; - is standard input.", valueName: "file"))
    var file: String?

    @OptionGroup var generator: GeneratorArguments
    @OptionGroup var frames: FrameArguments

    @Option(help: ArgumentHelp("Send evenly, so many records a second.", valueName: "records/s"))
    var rate: Double?

    @Flag(help: "Over TCP: keep every record until the collector says that it is durable; exit 0 only then.")
    var acknowledged = false

    @Option(help: ArgumentHelp("How long nothing may be acknowledged, for example 60s or 5min.", valueName: "time"))
    var acknowledgeTimeout = "60s"

    @Option(
        help: ArgumentHelp("Append a line for what became durable: source, session, first, behind.", valueName: "file"))
    var acknowledgementLog: String?

    @Option(
        help: ArgumentHelp(
            "With --acknowledged: a number that names this run together with the beginning of its input, so that it can go on later.",
            valueName: "number"))
    var session: UInt64?

    @Flag(
        help: """
            With --session: this run goes on with the input of an earlier one, from its first line to the same end, so frames \
            that the collector has already need not be sent. Without it they end the command with exit code 65.
            """)
    var resume = false

    @Flag(help: "Print the measure as one line of JSON.")
    var json = false

    /// The first bytes of a frame; no JSON begins like this.
    private static let magic = Array("SPWY".utf8)

    func validate() throws {
        guard (file == nil) != (generator.generate == nil) else {
            throw ValidationError("Give either --file or --generate.")
        }
        _ = try acknowledgeSeconds()
        guard acknowledged || acknowledgementLog == nil else {
            throw ValidationError("--acknowledgement-log goes with --acknowledged.")
        }
        guard acknowledged || session == nil else {
            throw ValidationError(
                "--session goes with --acknowledged: without it, frames of an earlier run would be lost.")
        }
        guard !resume || session != nil else { throw ValidationError("--resume goes with --session.") }
        guard session == nil || (frames.frameBytes == nil && frames.recordsPerFrame == nil) else {
            throw ValidationError(
                "--session goes without --frame-bytes and --records-per-frame: each run must make the same frames.")
        }
        if let rate, !(rate > 0 && rate <= 1e9) { throw ValidationError("--rate \(rate): expected a number above 0.") }
    }

    private func acknowledgeSeconds() throws -> Int {
        try quantity(acknowledgeTimeout, .seconds, in: 1...86_400, option: "--acknowledge-timeout")
    }

    func run() throws {
        let address = try connecting { () throws(ClientError) in try CollectorAddress(to) }
        // Before the collector hears of anything: a file that cannot be read ends the command here.
        var input = try file.map { (path) throws(CommandError) in try ByteInput(path: path) }
        let identity = try makeIdentity(&input)
        switch address.transport {
        case .udp:
            guard !acknowledged else {
                throw CommandError(.usage, "--acknowledged: nothing is answered over UDP; send to tcp://HOST:PORT")
            }
            if let bytes = frames.frameBytes, bytes > FrameLimits.datagramBytesMax {
                throw CommandError(
                    .usage, "--frame-bytes \(bytes): a datagram has at most \(FrameLimits.datagramBytesMax)")
            }
            // A paced sender hands datagrams over as they become due; the batch is for full speed.
            try send(
                through: try DatagramSink(to: address, batchSize: UDPTransport.batchSizeMax),
                FrameEncoder(
                    frameBytesTarget: frames.frameBytes ?? FrameLimits.datagramBytesDefault,
                    frameBytesMax: FrameLimits.datagramBytesMax,
                    recordsMax: recordsPerFrame(FrameLimits.recordsPerFrameMax)), identity, input)
        case .tcp:
            let encoder = FrameEncoder(
                frameBytesTarget: frames.frameBytes ?? 65_536, recordsMax: recordsPerFrame(1_000))
            guard acknowledged else {
                return try send(through: try StreamSink(to: address), encoder, identity, input)
            }
            let log = try acknowledgementLog.map { (path) throws(CommandError) in
                try AcknowledgementLog(path: path, identity: identity)
            }
            try send(
                through: AcknowledgedSink(
                    to: address, identity: identity, isOwnSession: session == nil, resumes: resume,
                    timeoutSeconds: try acknowledgeSeconds(), log: log), encoder, identity, input)
        }
    }

    /// A session that can be gone on with is named by its number and the beginning of its input: two inputs under one number
    /// must not be taken for each other, also where the collector cannot ask its database what it has of a session.
    private func makeIdentity(_ input: inout ByteInput?) throws(CommandError) -> SourceIdentity {
        let name = frames.source ?? "spillway send"
        guard let session else { return SourceIdentity(name: name) }
        var text =
            "\(session) \(generator.generate?.defaultValueDescription ?? "") \(generator.count ?? 0) \(generator.seed) "
        if var opened = input.take() {
            while opened.bytes.count < Self.beginningBytes, try opened.readMore() {}
            for byte in opened.bytes.prefix(Self.beginningBytes) { text.unicodeScalars.append(Unicode.Scalar(byte)) }
            input = consume opened
        }
        return SourceIdentity(name: name, session: SourceIdentity.hash(text))
    }

    private static let beginningBytes = 4_096

    /// Frames of a session that can be gone on with depend on nothing but the records.
    private func recordsPerFrame(_ limit: Int) -> Int {
        if session != nil { return limit }
        return Pacer(recordsPerSecond: rate).recordsPerFrame(atMost: frames.recordsPerFrame ?? limit)
    }

    private func send<Sink: FrameSink & ~Copyable>(
        through sink: consuming Sink, _ encoder: consuming FrameEncoder, _ identity: SourceIdentity,
        _ input: consuming ByteInput?
    ) throws(CommandError) {
        var encoder = encoder
        let sink = IdleFlush(sink)
        var sender = FrameSender(sink, identity: identity, pacer: Pacer(recordsPerSecond: rate))
        var fault: CommandError?
        do throws(CommandError) {
            try sendInput(input, &sender, &encoder, whenIdle: sink.flush)
        } catch {
            // Only a bad record leaves a connection that still works.
            guard error.code == .badData else { throw error }
            fault = error
        }
        let (outcome, measure) = try sender.finish()
        for refusal in outcome.refusals { report(refusal) }
        // What was sent comes before what could not be printed of it.
        do throws(CommandError) { try writeOutput(line: json ? measure.json : measure.text) } catch {
            fault = fault ?? outcome.failure ?? error
        }
        if let failure = fault ?? outcome.failure { throw failure }
    }

    /// How far generated times run ahead of the clock at most.
    private static let generatedAheadMicroseconds: Int64 = 1_800_000_000

    private func advice(_ recordCount: Int) -> String {
        if session != nil { return "correct it, and send the whole input again with --resume" }
        return recordCount == 0
            ? "nothing is sent: correct it and repeat the command"
            : "records before it that are sent: \(recordCount); correct it, and send the rest from this line on"
    }

    private func sendInput<Sink: FrameSink & ~Copyable>(
        _ input: consuming ByteInput?, _ sender: inout FrameSender<Sink>, _ encoder: inout FrameEncoder,
        whenIdle: @escaping ByteInput.IdleHandler
    ) throws(CommandError) {
        guard var input else {
            // A collector takes no times that are far in the future, and records are a millisecond apart.
            let span = Int64(min(generator.count ?? 0, 1_000_000_000_000)) * 1_000
            let start = Timestamp.now - max(0, span - Self.generatedAheadMicroseconds)
            var feed = try generator.feed(startTimeDefault: start)
            try sender.sendAll(&feed, &encoder)
            return try sender.sendHeartbeat()
        }
        input.onIdle = whenIdle
        while input.bytes.count < Self.magic.count, try input.readMore() {}
        if input.bytes.starts(with: Self.magic) {
            // These frames are their source's own; so are its heartbeats.
            var frames = FrameInput(input)
            return try sender.sendAll(&frames)
        }
        let canResume = session != nil
        var feed = LineFeed(LineInput(input), anyTime: frames.anyTime, waitsForWholeFrames: canResume)
        do throws(CommandError) {
            try sender.sendAll(&feed, &encoder, wholeFramesOnly: canResume)
        } catch {
            guard error.code == .badData else { throw error }
            try sender.sendHeartbeat()
            throw CommandError(
                .badData,
                error.message + "; " + advice(feed.recordCount))
        }
        try sender.sendHeartbeat()
    }
}
