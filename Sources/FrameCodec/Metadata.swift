// A record's metadata: a JSON object as text, checked and without whitespace between its parts.

/// Any JSON object, as the text that goes on the wire.
public struct Metadata: Equatable, Sendable {
    /// The object without whitespace outside of strings.
    public let json: String

    /// Takes a JSON object and removes the whitespace outside of its strings. O(n).
    ///
    /// - Throws: `invalidMetadata` with the byte at fault of the text without whitespace, `textTooLong`.
    public init(json text: String) throws(RecordError) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var inString = false
        var escaped = false
        // Only whitespace where a token may end is removed: "1 2" stays two tokens, and so is refused.
        var pendingSpace = false
        for byte in text.utf8 {
            if inString {
                bytes.append(byte)
                if escaped {
                    escaped = false
                } else if byte == UInt8(ascii: "\\") {
                    escaped = true
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                }
                continue
            }
            if byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D {
                pendingSpace = true
                continue
            }
            if pendingSpace, let last = bytes.last, Self.isWord(last), Self.isWord(byte) { bytes.append(0x20) }
            pendingSpace = false
            inString = byte == UInt8(ascii: "\"")
            bytes.append(byte)
        }
        guard bytes.count <= FrameLimits.stringBytesMax else { throw .textTooLong(bytes: bytes.count) }
        if let fault = bytes.withUnsafeBytes({ MetadataCheck.fault(in: $0) }) {
            throw .invalidMetadata(offset: fault.offset, fault.reason)
        }
        json = String(decoding: bytes, as: UTF8.self)
    }

    /// Takes what a decoder has checked already.
    init(checked json: String) { self.json = json }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    public static func == (left: Metadata, right: Metadata) -> Bool { left.json.utf8.elementsEqual(right.json.utf8) }
}
