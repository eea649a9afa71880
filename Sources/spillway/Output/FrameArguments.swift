import ArgumentParser
import SpillwayClient

/// How records are put into frames.
struct FrameArguments: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("How large frames become, in bytes: 256 to 1048576.", valueName: "bytes"))
    var frameBytes: Int?

    @Option(name: .long, help: ArgumentHelp("How many records a frame has at most: 1 to 16384.", valueName: "records"))
    var recordsPerFrame: Int?

    @Option(help: ArgumentHelp("The name of the program that sends. Its frames are counted.", valueName: "name"))
    var source: String?

    func validate() throws {
        if let frameBytes, !(256...FrameLimits.frameBytesMax).contains(frameBytes) {
            throw ValidationError("--frame-bytes \(frameBytes): expected 256 to \(FrameLimits.frameBytesMax).")
        }
        if let recordsPerFrame, !(1...FrameLimits.recordsPerFrameMax).contains(recordsPerFrame) {
            throw ValidationError(
                "--records-per-frame \(recordsPerFrame): expected 1 to \(FrameLimits.recordsPerFrameMax).")
        }
    }
}
