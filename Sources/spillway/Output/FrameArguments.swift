import ArgumentParser
import Collector
import SpillwayClient

/// How records are put into frames.
struct FrameArguments: ParsableArguments {
    @Option(
        name: .customLong("frame-bytes"),
        help: ArgumentHelp("How large frames become: 256B to 1MiB.", valueName: "size"))
    var frameSize: String?

    /// `--frame-bytes`.
    var frameBytes: Int? { frameSize.flatMap { Quantity.bytes.value($0) } }

    @Option(name: .long, help: ArgumentHelp("How many records a frame has at most: 1 to 16384.", valueName: "records"))
    var recordsPerFrame: Int?

    @Flag(
        help:
            "Take integer times before 2000 and after 2099, which are mostly seconds or milliseconds given by mistake.")
    var anyTime = false

    @Option(help: ArgumentHelp("The name of the program that sends. Its frames are counted.", valueName: "name"))
    var source: String?

    func validate() throws {
        if let frameSize {
            _ = try quantity(frameSize, .bytes, in: 256...FrameLimits.frameBytesMax, option: "--frame-bytes")
        }
        if let recordsPerFrame, !(1...FrameLimits.recordsPerFrameMax).contains(recordsPerFrame) {
            throw ValidationError(
                "--records-per-frame \(recordsPerFrame): expected 1 to \(FrameLimits.recordsPerFrameMax).")
        }
    }
}
