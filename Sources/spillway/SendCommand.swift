// Records or frames to a collector, with a measure of it.

import ArgumentParser
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

    @Option(help: ArgumentHelp("How long nothing may be acknowledged.", valueName: "seconds"))
    var acknowledgeTimeout = 60

    @Option(
        help: ArgumentHelp("Append a line for what became durable: source, session, first, behind.", valueName: "file"))
    var acknowledgementLog: String?

    @Option(help: ArgumentHelp("The number of this session; random unless given.", valueName: "number"))
    var session: UInt64?

    @Flag(
        help: """
            With --acknowledged and --session: this run goes on with the same input as an earlier one, so frames that the \
            collector has already need not be sent. Without it they end the command with exit code 65.
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
        guard acknowledgeTimeout > 0, acknowledgeTimeout <= 86_400 else {
            throw ValidationError("--acknowledge-timeout \(acknowledgeTimeout): expected 1 to 86400 seconds.")
        }
        guard acknowledged || acknowledgementLog == nil else {
            throw ValidationError("--acknowledgement-log goes with --acknowledged.")
        }
        guard !resume || (acknowledged && session != nil) else {
            throw ValidationError("--resume goes with --acknowledged and --session.")
        }
        if let rate, !(rate > 0 && rate <= 1e9) { throw ValidationError("--rate \(rate): expected a number above 0.") }
    }

    func run() throws {
        let address = try connecting { () throws(ClientError) in try CollectorAddress(to) }
        let identity = makeIdentity()
        switch address.transport {
        case .udp:
            guard !acknowledged else {
                throw CommandError(.usage, "--acknowledged: nobody answers over UDP; send to tcp://HOST:PORT")
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
                    recordsMax: recordsPerFrame(FrameLimits.recordsPerFrameMax)), identity)
        case .tcp:
            let encoder = FrameEncoder(
                frameBytesTarget: frames.frameBytes ?? 65_536, recordsMax: recordsPerFrame(1_000))
            guard acknowledged else {
                return try send(through: try StreamSink(to: address), encoder, identity)
            }
            let log = try acknowledgementLog.map { (path) throws(CommandError) in
                try AcknowledgementLog(path: path, identity: identity)
            }
            try send(
                through: AcknowledgedSink(
                    to: address, identity: identity, isOwnSession: session == nil, resumes: resume,
                    timeoutSeconds: acknowledgeTimeout, log: log), encoder, identity)
        }
    }

    private func makeIdentity() -> SourceIdentity {
        let name = frames.source ?? "spillway send"
        return session.map { SourceIdentity(name: name, session: $0) } ?? SourceIdentity(name: name)
    }

    private func recordsPerFrame(_ limit: Int) -> Int {
        Pacer(recordsPerSecond: rate).recordsPerFrame(atMost: frames.recordsPerFrame ?? limit)
    }

    private func send<Sink: FrameSink & ~Copyable>(
        through sink: consuming Sink, _ encoder: consuming FrameEncoder, _ identity: SourceIdentity
    ) throws(CommandError) {
        var encoder = encoder
        let sink = IdleFlush(sink)
        var sender = FrameSender(sink, identity: identity, pacer: Pacer(recordsPerSecond: rate))
        var fault: CommandError?
        do throws(CommandError) {
            try sendInput(&sender, &encoder, whenIdle: sink.flush)
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

    private func sendInput<Sink: FrameSink & ~Copyable>(
        _ sender: inout FrameSender<Sink>, _ encoder: inout FrameEncoder,
        whenIdle: @escaping ByteInput.IdleHandler
    ) throws(CommandError) {
        guard let file else {
            var feed = try generator.feed(startTimeDefault: Timestamp.now)
            try sender.sendAll(&feed, &encoder)
            return try sender.sendHeartbeat()
        }
        var input = try ByteInput(path: file)
        input.onIdle = whenIdle
        while input.bytes.count < Self.magic.count, try input.readMore() {}
        if input.bytes.starts(with: Self.magic) {
            // These frames are their source's own; so are its heartbeats.
            var frames = FrameInput(input)
            return try sender.sendAll(&frames)
        }
        var feed = LineFeed(LineInput(input))
        do throws(CommandError) {
            try sender.sendAll(&feed, &encoder)
        } catch {
            if error.code == .badData { try sender.sendHeartbeat() }
            throw error
        }
        try sender.sendHeartbeat()
    }
}
