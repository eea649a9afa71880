// The check of metadata byte by byte, which the fast one has to agree with.

@testable import FrameCodec

struct PlainMetadataCheck {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    /// One bit for each open level, the innermost lowest: 1 is an object, 0 an array.
    private var levels: UInt64 = 0
    private var depth = 0

    private init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The first fault, or nil. O(n).
    static func fault(in bytes: UnsafeRawBufferPointer) -> TextFault? {
        var check = PlainMetadataCheck(bytes)
        return check.run()
    }

    private mutating func run() -> TextFault? {
        guard peek() == UInt8(ascii: "{") else { return TextFault(.invalidJSON, position) }
        repeat {
            if let fault = value() { return fault }
            // Behind a value: close levels, or go on with the next one.
            while depth > 0 {
                let inObject = levels & 1 == 1
                guard let byte = peek() else { return here() }
                if byte == UInt8(ascii: ",") {
                    position += 1
                    if inObject, let fault = key() { return fault }
                    break
                }
                guard byte == (inObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { return here() }
                close()
            }
        } while depth > 0
        return position == bytes.count ? nil : here()
    }

    private func here() -> TextFault { TextFault(.invalidJSON, position) }
    private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func close() {
        position += 1
        levels >>= 1
        depth -= 1
    }

    /// Opens the level at `position`.
    private mutating func open(object: Bool) -> TextFault? {
        guard depth < FrameLimits.jsonDepthMax else { return TextFault(.jsonTooDeep, position) }
        position += 1
        depth += 1
        levels = levels << 1 | (object ? 1 : 0)
        return nil
    }

    /// A value up to its end, or an opened level up to its first value. An empty level is closed at once.
    private mutating func value() -> TextFault? {
        while true {
            guard let byte = peek() else { return here() }
            switch byte {
            case UInt8(ascii: "{"):
                if let fault = open(object: true) { return fault }
                if peek() == UInt8(ascii: "}") {
                    close()
                    return nil
                }
                if let fault = key() { return fault }
            case UInt8(ascii: "["):
                if let fault = open(object: false) { return fault }
                if peek() == UInt8(ascii: "]") {
                    close()
                    return nil
                }
            case UInt8(ascii: "\""): return string()
            case UInt8(ascii: "t"): return literal("true")
            case UInt8(ascii: "f"): return literal("false")
            case UInt8(ascii: "n"): return literal("null")
            default: return number()
            }
        }
    }

    private mutating func key() -> TextFault? {
        guard peek() == UInt8(ascii: "\"") else { return here() }
        if let fault = string() { return fault }
        guard peek() == UInt8(ascii: ":") else { return here() }
        position += 1
        return nil
    }

    private mutating func literal(_ text: StaticString) -> TextFault? {
        for index in 0..<text.utf8CodeUnitCount {
            guard peek() == text.utf8Start[index] else { return here() }
            position += 1
        }
        return nil
    }

    private mutating func string() -> TextFault? {
        position += 1
        while let byte = peek() {
            if byte == UInt8(ascii: "\"") {
                position += 1
                return nil
            }
            if byte < 0x20 { return here() }
            if byte == UInt8(ascii: "\\") {
                if let fault = escape() { return fault }
            } else {
                position += 1
            }
        }
        return here()
    }

    private mutating func escape() -> TextFault? {
        let start = position
        position += 1
        guard let byte = peek() else { return here() }
        guard byte == UInt8(ascii: "u") else {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
                UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
                position += 1
                return nil
            default: return here()
            }
        }
        position += 1
        guard let unit = fourHexDigits() else { return here() }
        switch unit {
        case 0, 0xDC00...0xDFFF: return TextFault(.invalidJSON, start)
        case 0xD800...0xDBFF:
            guard peek() == UInt8(ascii: "\\") else { return TextFault(.invalidJSON, start) }
            position += 1
            guard peek() == UInt8(ascii: "u") else { return TextFault(.invalidJSON, start) }
            position += 1
            guard let low = fourHexDigits() else { return here() }
            return (0xDC00...0xDFFF).contains(low) ? nil : TextFault(.invalidJSON, start)
        default: return nil
        }
    }

    /// Stops at the first byte that is none.
    private mutating func fourHexDigits() -> UInt32? {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek() else { return nil }
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
            default: return nil
            }
            position += 1
        }
        return value
    }

    /// Every fault of a number is at its first byte.
    private mutating func number() -> TextFault? {
        let start = position
        let fault = TextFault(.invalidJSON, start)
        if peek() == UInt8(ascii: "-") { position += 1 }
        let first = peek()
        let integerDigits = skipDigits()
        guard integerDigits > 0, integerDigits == 1 || first != UInt8(ascii: "0") else { return fault }
        if peek() == UInt8(ascii: ".") {
            position += 1
            guard skipDigits() > 0 else { return fault }
        }
        if peek() == UInt8(ascii: "e") || peek() == UInt8(ascii: "E") {
            position += 1
            if peek() == UInt8(ascii: "+") || peek() == UInt8(ascii: "-") { position += 1 }
            guard (1...FrameLimits.jsonExponentDigitsMax).contains(skipDigits()) else { return fault }
        }
        return position - start <= FrameLimits.jsonNumberBytesMax ? nil : fault
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        return position - start
    }
}
