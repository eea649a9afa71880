// Frames in, JSON lines out.

import ArgumentParser
import JSONLines
import SpillwayClient

/// `spillway decode`
struct DecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode",
        abstract: "Turn frames into records as JSON lines.",
        discussion: """
            The file is read as it comes, whatever its size. A bad frame ends the command with exit code 65 and says \
            where it is; the records of the frames before it are written. Within a frame the records stand kind by kind.

            EXAMPLES:
              spillway decode records.frames
              spillway spill cat --frames --spill-directory DIR | spillway decode
            """)

    @Argument(help: "A file of frames; - is standard input.")
    var file = "-"

    @Flag(help: "Print heartbeats and the collector's replies too.")
    var all = false

    @Option(
        name: .shortAndLong, help: ArgumentHelp("Where the lines go instead of standard output.", valueName: "file"))
    var output: String?

    /// Lines wait up to this before they are written.
    private static let waitingBytesMax = 262_144

    func run() throws {
        let bytes = try ByteInput(path: file)
        var output = try ByteOutput(path: output)
        var input = FrameInput(bytes)
        var printer = RecordLinePrinter()
        var decoder = FrameDecoder()
        var skipped = 0
        var holdBack = HoldBack()
        do throws(CommandError) {
            while try step(&input, &output, &printer, &decoder) {
                holdBack.begin()
                // A pipe that stays open must not hold back the records that came.
                let isIdle = try !input.waitForFrame(holdBack)
                guard isIdle || printer.byteCount >= Self.waitingBytesMax else { continue }
                skipped += printer.skippedCount
                try Self.write(&printer, &output)
                guard isIdle else { continue }
                try output.flushInPause()
                holdBack.end()
            }
        } catch {
            try Self.write(&printer, &output)
            throw try output.finishPart(after: error)
        }
        skipped += printer.skippedCount
        try Self.write(&printer, &output)
        guard !output.wouldEmptyAFile else {
            throw try output.finishPart(after: CommandError(.badData, "the input has no records"))
        }
        try output.finish()
        if skipped > 0 {
            report(
                "warning: \(counted(skipped, "record")) of kinds that only a later version of spillway knows left out"
            )
        }
    }

    /// - Returns: false after the last frame.
    private func step(
        _ input: inout FrameInput, _ output: inout ByteOutput, _ printer: inout RecordLinePrinter,
        _ decoder: inout FrameDecoder
    ) throws(CommandError) -> Bool {
        let fault = try input.next { (frame, header) throws(CommandError) -> FrameError? in
            let line: String
            do throws(FrameError) {
                if header.type == .records {
                    try printer.print(frame, header: header, using: &decoder)
                    return nil
                }
                guard all else { return nil }
                line = try ControlFrameLine.text(frame, header: header)
            } catch {
                return error
            }
            try Self.write(&printer, &output)
            try output.write(line.utf8Span.span.bytes)
            return nil
        }
        guard let fault else { return false }
        if let error = fault { throw input.fault(error) }
        return true
    }

    private static func write(_ printer: inout RecordLinePrinter, _ output: inout ByteOutput) throws(CommandError) {
        try printer.withBytes { (lines) throws(CommandError) in try output.write(lines) }
        printer.removeAll()
    }
}
