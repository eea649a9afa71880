// Reads JSON tokens from the bytes of one line. Unsafe loads happen here only, each behind the check of `position`
// against `end`. Behind the last byte it sees 0, which JSON allows nowhere.

import Glibc

/// A place in a line.
struct LineCursor {
    private let base: UnsafeRawPointer
    /// Bytes of the line. Invariant: position <= end.
    let end: Int
    private(set) var position = 0

    /// - Precondition: the line is not empty and stays where it is.
    init(_ line: UnsafeRawBufferPointer) {
        guard let base = line.baseAddress else { preconditionFailure("an empty line has no tokens") }
        self.base = base
        end = line.count
    }

    @inline(__always)
    func byte(at offset: Int) -> UInt8 { offset < end ? base.load(fromByteOffset: offset, as: UInt8.self) : 0 }

    /// The next byte, or 0 behind the last.
    @inline(__always)
    var peek: UInt8 { byte(at: position) }

    /// The bytes between two places that were passed.
    func bytes(from start: Int, to stop: Int) -> UnsafeRawBufferPointer {
        precondition(0 <= start && start <= stop && stop <= end)
        return UnsafeRawBufferPointer(start: base + start, count: stop - start)
    }

    func fault(_ reason: RecordLineError.Reason, at offset: Int) -> RecordLineError {
        RecordLineError(reason, column: offset + 1)
    }

    func unexpected(_ expected: String) -> RecordLineError { fault(.invalidJSON(expected: expected), at: position) }

    /// What the next value is, for messages.
    var valueName: String {
        switch peek {
        case UInt8(ascii: "\""): "a string"
        case UInt8(ascii: "{"): "an object"
        case UInt8(ascii: "["): "an array"
        case UInt8(ascii: "t"), UInt8(ascii: "f"): "a boolean"
        case UInt8(ascii: "n"): "null"
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): "a number"
        default: "no value"
        }
    }

    func wrongType(_ expected: String) -> RecordLineError {
        fault(.wrongType(expected: expected, found: valueName), at: position)
    }

    // MARK: Tokens

    @inline(__always)
    mutating func skipSpace() {
        while position < end {
            let byte = base.load(fromByteOffset: position, as: UInt8.self)
            guard byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A else { return }
            position &+= 1
        }
    }

    /// Passes the byte if it is the next one.
    @inline(__always)
    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < end, peek == UInt8(ascii: character) else { return false }
        position &+= 1
        return true
    }

    /// Passes these bytes if they are the next ones.
    @inline(__always)
    mutating func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let expected = bytes.baseAddress, bytes.count <= end &- position,
            memcmp(base + position, expected, bytes.count) == 0
        else { return false }
        position &+= bytes.count
        return true
    }

    /// Passes the word if it is the next token.
    mutating func takeWord(_ word: StaticString) -> Bool {
        take(UnsafeRawBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
    }

    /// Passes the colon behind a member's name.
    @inline(__always)
    mutating func takeColon() throws(RecordLineError) {
        skipSpace()
        guard take(":") else { throw unexpected("a colon") }
        skipSpace()
    }

    /// Passes the comma behind a member.
    ///
    /// - Returns: false at the end of the object.
    @inline(__always)
    mutating func takeComma() throws(RecordLineError) -> Bool {
        skipSpace()
        if take(",") {
            skipSpace()
            return true
        }
        guard take("}") else { throw unexpected("a comma or the end of the object") }
        return false
    }

    /// Passes any value without a close look: strings are skipped whole, brackets are counted.
    mutating func skipValue() throws(RecordLineError) {
        var depth = 0
        repeat {
            skipSpace()
            switch peek {
            case UInt8(ascii: "\""): try skipString()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                position += 1
                continue
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard depth > 0 else { throw unexpected("a value") }
                depth -= 1
                position += 1
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                guard depth > 0 else { throw unexpected("a value") }
                position += 1
            case 0 where position == end: throw unexpected("the end of the value")
            default: try skipWord()
            }
        } while depth > 0
    }

    /// Passes a number or a literal.
    private mutating func skipWord() throws(RecordLineError) {
        let start = position
        loop: while position < end {
            switch peek {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
                position += 1
            default: break loop
            }
        }
        if position == start { throw unexpected("a value") }
    }

    private mutating func skipString() throws(RecordLineError) {
        let start = position
        position += 1
        while position < end {
            let byte = peek
            position += byte == UInt8(ascii: "\\") ? 2 : 1
            if byte == UInt8(ascii: "\"") { return }
        }
        position = end
        throw fault(.invalidJSON(expected: "the end of the string that begins here"), at: start)
    }

    // MARK: Runs of plain text

    /// Passes printable ASCII other than quote and backslash, eight bytes at a time.
    @inline(__always)
    mutating func skipPlainText() {
        while position &+ 8 <= end {
            let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            let special = Self.specialBytes(word)
            if special != 0 {
                position &+= special.trailingZeroBitCount / 8
                return
            }
            position &+= 8
        }
        while position < end {
            let byte = base.load(fromByteOffset: position, as: UInt8.self)
            if byte < 0x20 || byte >= 0x80 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return }
            position &+= 1
        }
    }

    /// The top bit of the first byte that is a control character, quote, backslash or not ASCII; later bits may be
    /// wrong.
    @inline(__always)
    private static func specialBytes(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quotes = word ^ (ones &* 0x22)
        let backslashes = word ^ (ones &* 0x5C)
        // A byte's subtraction borrows into its top bit exactly if the byte is below what is subtracted.
        let low = (word &- ones &* 0x20) | (quotes &- ones) | (backslashes &- ones)
        return (low | word) & (ones &* 0x80)
    }

    mutating func advance(_ count: Int) {
        precondition(count <= end - position)
        position += count
    }
}
