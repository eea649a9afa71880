// Is a text a JSON object that JSONB takes, written in the protocol's way: no whitespace outside of strings, no escaped
// U+0000, no lone surrogate, bounded depth and numbers? One pass, no recursion, no allocation.
//
// Each step is told where it begins and returns where it ends, so that the place stays in a register.

/// Checks metadata, which is UTF-8 already.
struct MetadataCheck {
    private let bytes: UnsafeRawBufferPointer

    private init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The first fault, or nil. O(n).
    static func fault(in bytes: UnsafeRawBufferPointer) -> TextFault? {
        do throws(TextFault) {
            try MetadataCheck(bytes).walk()
            return nil
        } catch {
            return error
        }
    }

    private func walk() throws(TextFault) {
        guard byte(0) == UInt8(ascii: "{") else { throw TextFault(.invalidJSON, 0) }
        var position = 0
        /// One bit for each open level, the innermost lowest: 1 is an object, 0 an array.
        var levels: UInt64 = 0
        var depth = 0
        var isMember = false
        repeat {
            if isMember { position = try key(position) }
            let first = byte(position)
            switch first {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                guard depth < FrameLimits.jsonDepthMax else { throw TextFault(.jsonTooDeep, position) }
                position &+= 1
                depth &+= 1
                isMember = first == UInt8(ascii: "{")
                levels = levels &<< 1 | (isMember ? 1 : 0)
                if byte(position) != (isMember ? UInt8(ascii: "}") : UInt8(ascii: "]")) { continue }
                position &+= 1
                depth &-= 1
                levels &>>= 1
            case UInt8(ascii: "\""): position = try string(position)
            case UInt8(ascii: "t"): position = try literal("true", position)
            case UInt8(ascii: "f"): position = try literal("false", position)
            case UInt8(ascii: "n"): position = try literal("null", position)
            default: position = try number(position)
            }
            // Behind a value: close levels, or go on with the next one.
            while depth > 0 {
                isMember = levels & 1 == 1
                let next = byte(position)
                if next == UInt8(ascii: ",") {
                    position &+= 1
                    break
                }
                guard next == (isMember ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                    throw TextFault(.invalidJSON, position)
                }
                position &+= 1
                depth &-= 1
                levels &>>= 1
            }
        } while depth > 0
        guard position == bytes.count else { throw TextFault(.invalidJSON, position) }
    }

    /// Zero behind the end, which no token has: so nothing goes past it.
    @inline(__always)
    private func byte(_ position: Int) -> UInt8 { position < bytes.count ? bytes[position] : 0 }
    /// The same for eight bytes.
    @inline(__always)
    private func word(_ position: Int) -> UInt64 { paddedWord(bytes, at: position) }

    @inline(__always)
    private func key(_ start: Int) throws(TextFault) -> Int {
        guard byte(start) == UInt8(ascii: "\"") else { throw TextFault(.invalidJSON, start) }
        let end = try string(start)
        guard byte(end) == UInt8(ascii: ":") else { throw TextFault(.invalidJSON, end) }
        return end &+ 1
    }

    @inline(__always)
    private func literal(_ text: StaticString, _ start: Int) throws(TextFault) -> Int {
        let count = text.utf8CodeUnitCount
        let expected = ShortText.part(text.utf8Start, count)
        let differences = (word(start) ^ expected) & ~(UInt64.max &<< UInt64(truncatingIfNeeded: 8 &* count))
        guard differences == 0 else {
            throw TextFault(.invalidJSON, start &+ differences.trailingZeroBitCount &>> 3)
        }
        return start &+ count
    }

    private func string(_ start: Int) throws(TextFault) -> Int {
        var position = start &+ 1
        while true {
            let plain = JSONEscapes.plainBytes(word(position))
            position &+= plain
            if plain == 8 { continue }
            let byte = byte(position)
            if byte == UInt8(ascii: "\"") { return position &+ 1 }
            guard byte == UInt8(ascii: "\\") else { throw TextFault(.invalidJSON, position) }
            position = try escape(position)
        }
    }

    private func escape(_ start: Int) throws(TextFault) -> Int {
        switch byte(start &+ 1) {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return start &+ 2
        case UInt8(ascii: "u"): break
        default: throw TextFault(.invalidJSON, start &+ 1)
        }
        let end = start &+ 6
        switch try fourHexDigits(start &+ 2) {
        case 0, 0xDC00...0xDFFF: throw TextFault(.invalidJSON, start)
        case 0xD800...0xDBFF:
            guard byte(end) == UInt8(ascii: "\\"), byte(end &+ 1) == UInt8(ascii: "u"),
                (0xDC00...0xDFFF).contains(try fourHexDigits(end &+ 2))
            else { throw TextFault(.invalidJSON, start) }
            return end &+ 6
        default: return end
        }
    }

    /// A byte that is none is at fault.
    private func fourHexDigits(_ start: Int) throws(TextFault) -> UInt32 {
        var value: UInt32 = 0
        for position in start..<start &+ 4 {
            let byte = byte(position)
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
            default: throw TextFault(.invalidJSON, position)
            }
        }
        return value
    }

    /// Every fault of a number is at its first byte.
    private func number(_ start: Int) throws(TextFault) -> Int {
        let fault = TextFault(.invalidJSON, start)
        let integer = byte(start) == UInt8(ascii: "-") ? start &+ 1 : start
        var end = digitsEnd(integer)
        guard end > integer, end == integer &+ 1 || byte(integer) != UInt8(ascii: "0") else { throw fault }
        var next = byte(end)
        if next == UInt8(ascii: ".") {
            let fraction = end &+ 1
            end = digitsEnd(fraction)
            guard end > fraction else { throw fault }
            next = byte(end)
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            let sign = byte(end &+ 1)
            let exponent = sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") ? end &+ 2 : end &+ 1
            end = digitsEnd(exponent)
            guard (1...FrameLimits.jsonExponentDigitsMax).contains(end &- exponent) else { throw fault }
        }
        guard end &- start <= FrameLimits.jsonNumberBytesMax else { throw fault }
        return end
    }

    /// Where the digits end that begin at `start`, which may be none.
    @inline(__always)
    private func digitsEnd(_ start: Int) -> Int {
        var position = start
        while true {
            let values = word(position) ^ 0x3030_3030_3030_3030
            // The sum reaches the top bit of a byte above 9; a carry goes up, so the lowest mark is right.
            let marks = ((values &+ 0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080
            let digits = marks.trailingZeroBitCount &>> 3
            position &+= digits
            if digits < 8 { return position }
        }
    }
}
