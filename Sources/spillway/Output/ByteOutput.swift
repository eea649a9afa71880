import Glibc
import LinuxSystem

/// A file or standard output, written in large pieces. What waits is written by `flush`, which the owner must call.
struct ByteOutput: ~Copyable {
    /// Bytes written or waiting.
    private(set) var byteCount = 0
    private let name: String
    private let descriptor: Int32
    private var waiting: [UInt8] = []

    private static let waitingBytesMax = 262_144

    /// - Parameter path: nil and `-` are standard output.
    init(path: String?) throws(CommandError) {
        guard let path, path != "-" else {
            name = "standard output"
            descriptor = STDOUT_FILENO
            return
        }
        name = path
        do throws(SystemCallError) {
            descriptor = Int32(
                try checkedCall("open", object: path) {
                    Int(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666))
                })
        } catch {
            throw CommandError(.cannotCreate, "\(error)")
        }
    }

    deinit { if descriptor != STDOUT_FILENO { close(descriptor) } }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    mutating func write(_ bytes: RawSpan) throws(CommandError) {
        byteCount += bytes.byteCount
        bytes.withUnsafeBytes { waiting.append(contentsOf: $0) }
        if waiting.count >= Self.waitingBytesMax { try flush() }
    }

    /// Writes a text and the end of its line.
    mutating func write(line: String) throws(CommandError) {
        try write(line.utf8Span.span.bytes)
        try write([UInt8(ascii: "\n")].span.bytes)
    }

    mutating func flush() throws(CommandError) {
        var written = 0
        while written < waiting.count {
            do throws(SystemCallError) {
                written += try checkedCall("write", object: name) {
                    waiting.withUnsafeBytes { bytes in
                        Glibc.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
                    }
                }
            } catch {
                throw CommandError(.inputOutput, "\(error)")
            }
        }
        waiting.removeAll(keepingCapacity: true)
    }
}
