import Glibc
import JSONLines

/// The lines of a file or of standard input.
struct LineInput: ~Copyable {
    /// Of the line that was handed out last, from 1.
    private(set) var lineNumber = 0
    private var input: ByteInput

    init(_ input: consuming ByteInput) { self.input = input }

    /// Where the last line stands, for messages.
    var place: String { "\(input.name):\(lineNumber)" }

    /// Hands out the next line without its end.
    ///
    /// - Returns: nil behind the last line.
    /// - Throws: what `body` throws, a read that failed, a line over `RecordLineLimits.lineBytesMax`.
    mutating func next<Result>(_ body: (RawSpan) throws(CommandError) -> Result) throws(CommandError) -> Result? {
        var searched = 0
        while true {
            let bytes = input.bytes
            if let base = bytes.baseAddress, let found = memchr(base + searched, 0x0A, bytes.count - searched) {
                return try handOut(base.distance(to: UnsafeRawPointer(found)), lineEnd: 1, body)
            }
            searched = bytes.count
            if searched <= RecordLineLimits.lineBytesMax, try input.readMore() { continue }
            if searched == 0 { return nil }
            // The last line without an end, or one that is too long: the parser says so.
            return try handOut(searched, lineEnd: 0, body)
        }
    }

    private mutating func handOut<Result>(
        _ count: Int, lineEnd: Int, _ body: (RawSpan) throws(CommandError) -> Result
    ) throws(CommandError) -> Result {
        lineNumber += 1
        let result = try body(UnsafeRawBufferPointer(rebasing: input.bytes[..<count]).bytes)
        input.consume(count + lineEnd)
        return result
    }
}
