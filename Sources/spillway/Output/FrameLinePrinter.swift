import JSONLines
import SpillwayClient

/// Prints whole frames, one behind the other, as JSON lines.
struct FrameLinePrinter: ~Copyable {
    private var printer = RecordLinePrinter()
    private var decoder = FrameDecoder()

    /// - Parameter bytes: admitted frames.
    /// - Returns: what is wrong inside of frames, each a line; their records are left out.
    mutating func print(_ bytes: UnsafeRawBufferPointer, to output: inout ByteOutput) throws(CommandError) -> [String] {
        var faults: [String] = []
        var offset = 0
        while offset < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...]).bytes
            do throws(FrameError) {
                let header = try FrameHeader.read(rest)
                offset += header.frameLength
                try printer.print(rest.extracting(first: header.frameLength), header: header, using: &decoder)
            } catch {
                faults.append("a frame is malformed: \(error)")
            }
            try printer.withBytes { (lines) throws(CommandError) in try output.write(lines) }
            printer.removeAll()
        }
        return faults
    }
}
