import Glibc
import JSONLines
import LinuxSystem

/// The lines of a file or of standard input.
struct LineInput: ~Copyable {
    /// Of the line that was handed out last, from 1.
    private(set) var lineNumber = 0
    private var input: ByteInput
    /// Bytes of what was read and not consumed that hold no line end.
    private var searched = 0

    init(_ input: consuming ByteInput) { self.input = input }

    /// The place of the last line, for messages.
    var place: String { "\(input.name):\(lineNumber)" }

    /// Hands out the next line without its end.
    ///
    /// - Returns: nil after the last line.
    /// - Throws: what `body` throws, a read that failed, a line over `RecordLineLimits.lineBytesMax`.
    mutating func next<Result>(_ body: (RawSpan) throws(CommandError) -> Result) throws(CommandError) -> Result? {
        while true {
            if let end = findLineEnd() { return try handOut(end, lineEnd: 1, body) }
            if searched <= RecordLineLimits.lineBytesMax, try input.readMore() { continue }
            if searched == 0 { return nil }
            // The last line without an end, or one that is too long: the parser says so.
            return try handOut(searched, lineEnd: 0, body)
        }
    }

    /// Waits until `next` can go on without waiting.
    ///
    /// - Parameter holdBack: what waits for the next line.
    /// - Returns: false when that has waited long enough.
    mutating func waitForLine(_ holdBack: HoldBack) throws(CommandError) -> Bool {
        while findLineEnd() == nil, searched <= RecordLineLimits.lineBytesMax, !input.hasEnded {
            guard try input.waitForMore(milliseconds: holdBack.millisecondsLeft) else { return false }
            _ = try input.readMore()
        }
        return true
    }

    /// Where the first line ends that was not handed out. O(bytes that came in since the last call).
    private mutating func findLineEnd() -> Int? {
        let bytes = input.bytes
        if let base = bytes.baseAddress, let found = memchr(base + searched, 0x0A, bytes.count - searched) {
            searched = base.distance(to: UnsafeRawPointer(found))
            return searched
        }
        searched = bytes.count
        return nil
    }

    private mutating func handOut<Result>(
        _ count: Int, lineEnd: Int, _ body: (RawSpan) throws(CommandError) -> Result
    ) throws(CommandError) -> Result {
        lineNumber += 1
        var line = UnsafeRawBufferPointer(rebasing: input.bytes[..<count])
        if lineNumber == 1, let fault = foreignText(line) { throw CommandError(.badData, "\(input.name): \(fault)") }
        // One begins the file, and each of the files that were joined to it.
        if line.first == byteOrderMark[0], line.starts(with: byteOrderMark) {
            line = UnsafeRawBufferPointer(rebasing: line.dropFirst(byteOrderMark.count))
        }
        let result = try body(line.bytes)
        input.consume(count + lineEnd)
        searched = 0
        return result
    }
}
