// The one way to write to standard output or to a file. Every error of a write reaches the caller: a disk that is full is exit
// code 74, and a reader that has gone ends the command without a word.

import Glibc
import LinuxSystem

/// A file or standard output, written in large pieces.
///
/// A file that exists is replaced when it is complete, or when the input pauses: the bytes go to a file beside it, and `finish` gives that the name. So a
/// command that fails leaves the file as it was, and may read the file that it replaces. What cannot be replaced (a pipe, a
/// terminal, a device) is written in place.
///
/// What waits is written by `flush` and `finish`, one of which the owner must call last.
struct ByteOutput: ~Copyable {
    /// Bytes written or waiting.
    private(set) var byteCount = 0
    private let name: String
    private let descriptor: Int32
    /// Nil once the file has its name, and for what is written in place.
    private var replacement: FileReplacement?
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
            if let open = try FileReplacement.descriptor(at: path) {
                descriptor = Int32(try checkedCall("dup", object: path) { Int(fcntl(open, F_DUPFD_CLOEXEC, 3)) })
            } else if let replacement = try FileReplacement(of: path) {
                descriptor = replacement.descriptor
                self.replacement = replacement
            } else {
                descriptor = Int32(
                    try checkedCall("open", object: path) { Int(open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY)) })
            }
        } catch {
            throw CommandError(.cannotCreate, "\(error)")
        }
    }

    deinit {
        replacement?.discard()
        if descriptor != STDOUT_FILENO { close(descriptor) }
    }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    mutating func write(_ bytes: RawSpan) throws(CommandError) {
        byteCount += bytes.byteCount
        bytes.withUnsafeBytes { waiting.append(contentsOf: $0) }
        if waiting.count >= Self.waitingBytesMax { try flush() }
    }

    mutating func write(text: String) throws(CommandError) { try write(text.utf8Span.span.bytes) }

    /// Writes a text and the end of its line.
    mutating func write(line: String) throws(CommandError) {
        try write(text: line)
        try write([UInt8(ascii: "\n")].span.bytes)
    }

    mutating func flush() throws(CommandError) {
        guard !waiting.isEmpty else { return }
        var written = 0
        while written < waiting.count { written += try writeSome(from: written) }
        waiting.removeAll(keepingCapacity: true)
    }

    /// The same while the input pauses: a file gets its name, as an input that pauses may have no end.
    mutating func flushInPause() throws(CommandError) { try finish() }

    private borrowing func writeSome(from start: Int) throws(CommandError) -> Int {
        do throws(SystemCallError) {
            let result = try systemCall("write", object: name) {
                waiting.withUnsafeBytes { bytes in
                    Glibc.write(descriptor, bytes.baseAddress.map { $0 + start }, bytes.count - start)
                }
            }
            if case .value(let count) = result { return count }
            // Another program made the pipe non-blocking; its reader is slow.
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            try checkedCall("poll", object: name) { Int(poll(&entry, 1, -1)) }
            return 0
        } catch {
            throw CommandError(writing: error)
        }
    }

    /// Writes what waits, and gives a file its name.
    mutating func finish() throws(CommandError) {
        try flush()
        try nameFile()
    }

    private mutating func nameFile() throws(CommandError) {
        guard let replacement else { return }
        do throws(SystemCallError) { try replacement.rename() } catch { throw CommandError(writing: error) }
        self.replacement = nil
    }

    /// Whether `finish` would replace a file with nothing.
    var wouldEmptyAFile: Bool { byteCount == 0 && replacement?.replacesFile == true }

    /// Ends after an error of the input. What came before bad data is written, unless it would replace a file: a part must not
    /// take the place of a whole one.
    ///
    /// - Returns: the error, with what was done.
    mutating func finishPart(after error: CommandError) throws(CommandError) -> CommandError {
        if let replacement, error.code != .badData || replacement.replacesFile || byteCount == 0 {
            let isThere = replacement.replacesFile
            return CommandError(
                error.code, "\(error.message); \(isThere ? "\(name) is as it was" : "\(name) is not written")")
        }
        let isEmpty = byteCount == 0
        try finish()
        guard error.code == .badData else { return error }
        return CommandError(
            error.code, "\(error.message); \(isEmpty ? "nothing is written" : "what comes before it is written")")
    }
}

/// Writes all of a text to standard output.
func writeOutput(_ text: String) throws(CommandError) {
    var output = try ByteOutput(path: nil)
    try output.write(text: text)
    try output.flush()
}

/// Writes a line to standard output.
func writeOutput(line: String) throws(CommandError) { try writeOutput(line + "\n") }

/// The standard library's `print` ignores what goes wrong: commands use `writeOutput`.
@available(*, unavailable, message: "print hides a full disk: use writeOutput")
func print(_ items: Any..., separator: String = " ", terminator: String = "\n") {}

extension CommandError {
    /// Output that could not be written.
    init(writing error: SystemCallError) {
        self.init(error.code == EPIPE ? .outputClosed : .inputOutput, "\(error)")
    }
}
