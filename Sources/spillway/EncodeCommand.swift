// JSON lines in, frames out.

import ArgumentParser
import Glibc
import JSONLines
import SpillwayClient

/// `spillway encode`
struct EncodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "encode",
        abstract: "Turn records as JSON lines into frames.",
        discussion: """
            The frames are anonymous and uncounted, so that the same lines always give the same bytes; with --source \
            they carry the name's id, a random session and a sequence. A bad line ends the command with \
            exit code 65; the lines before it are written, unless --output names a file that exists: \
            that is replaced only when everything is written, and may be the input.

            EXAMPLES:
              spillway encode records.jsonl --output records.frames
              spillway encode --records-per-frame 100 < records.jsonl | spillway send --to tcp://127.0.0.1:8127 --file -
              spillway encode --generate routing --count 1000000 --statistics > /dev/null
            """)

    @Argument(help: "A file of JSON lines; - is standard input.")
    var file = "-"

    @OptionGroup var generator: GeneratorArguments
    @OptionGroup var frames: FrameArguments

    @Option(
        name: .shortAndLong, help: ArgumentHelp("Where the frames go instead of standard output.", valueName: "file"))
    var output: String?

    @Flag(help: "Print records, frames, bytes and bytes a record on standard error.")
    var statistics = false

    func run() throws {
        if generator.generate != nil {
            var feed = try generator.feed(startTimeDefault: RecordGenerator.Options.fixedStartTime)
            return try write(&feed, try makeWriter())
        }
        // Before the output: a file that cannot be read must not cost the one that would be written.
        let input = try ByteInput(path: file)
        let writer = try makeWriter()
        var feed = LineFeed(LineInput(input), anyTime: frames.anyTime)
        try write(&feed, writer)
    }

    private func makeWriter() throws(CommandError) -> FrameFileWriter {
        let writer = FrameFileWriter(
            output: try ByteOutput(path: output),
            identity: frames.source.map { SourceIdentity(name: $0) })
        guard !writer.isTerminal else {
            throw CommandError(
                .usage, "frames are binary, and standard output is a terminal: use --output FILE or a pipe")
        }
        return writer
    }

    private func write<Feed: RecordFeed & ~Copyable>(
        _ feed: inout Feed, _ writer: consuming FrameFileWriter
    ) throws(CommandError) {
        var encoder = FrameEncoder(
            frameBytesTarget: frames.frameBytes ?? FrameLimits.frameBytesMax,
            recordsMax: frames.recordsPerFrame ?? 1_000)
        try writer.writeAll(&feed, &encoder)
        if statistics { report(writer.summary) }
    }
}

/// Writes the frames of a feed one behind the other.
private struct FrameFileWriter: ~Copyable {
    private var output: ByteOutput
    private let identity: SourceIdentity?
    private var records = 0
    private var frames: UInt64 = 0

    init(output: consuming ByteOutput, identity: SourceIdentity?) {
        self.output = output
        self.identity = identity
    }

    var isTerminal: Bool { output.isTerminal }

    var summary: String {
        let perRecord = records == 0 ? 0 : Double(output.byteCount) / Double(records)
        return
            [(UInt64(records), "record"), (frames, "frame"), (UInt64(output.byteCount), "byte")]
            .map { counted($0, $1, isGrouped: false) + ", " }.joined() + "\(decimal(perRecord, 2)) bytes/record"
    }

    mutating func writeAll<Feed: RecordFeed & ~Copyable>(
        _ feed: inout Feed, _ encoder: inout FrameEncoder
    ) throws(CommandError) {
        do throws(CommandError) {
            loop: while true {
                switch try feed.appendNext(to: &encoder) {
                case .appended: continue
                case .frameFull:
                    try writeFrame(&encoder)
                    if feed.isIdle { try output.flushInPause() }
                case .end: break loop
                }
            }
        } catch {
            // What came before the fault is good, and goes out.
            try writeFrame(&encoder)
            throw try output.finishPart(after: error)
        }
        try writeFrame(&encoder)
        // A command that failed at the other end of the pipe looks like an empty input.
        guard !output.wouldEmptyAFile else {
            throw try output.finishPart(after: CommandError(.badData, "the input has no records"))
        }
        try output.finish()
    }

    private mutating func writeFrame(_ encoder: inout FrameEncoder) throws(CommandError) {
        let count = encoder.recordCount
        guard count > 0 else { return }
        frames += 1
        records += count
        try encoder.finish(identity?.frame(sequence: frames) ?? FrameIdentity()) { (frame) throws(CommandError) in
            try output.write(frame)
        }
    }
}

/// A number with so many decimals, rounded: Swift's own formatting needs Foundation.
func decimal(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
    var scale: Int64 = 1
    for _ in 0..<decimals { scale *= 10 }
    let scaled = Int64((value.magnitude * Double(scale)).rounded())
    let digits = String(scaled % scale)
    let fraction = decimals == 0 ? "" : "." + String(repeating: "0", count: decimals - digits.count) + digits
    return (value < 0 && scaled > 0 ? "-" : "") + "\(scaled / scale)" + fraction
}
