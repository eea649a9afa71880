// The values of the members that every kind has: time, tags and metadata. They are told as plain values, since only few
// records have tags or metadata.

import FrameCodec

extension LineCursor {
    /// A time as RFC 3339, or as an integer of microseconds since the Unix epoch.
    mutating func time(_ scratch: inout GrowingBytes) throws(RecordLineError) -> Int64 {
        guard peek == UInt8(ascii: "\"") else {
            guard peek == UInt8(ascii: "-") || peek &- UInt8(ascii: "0") <= 9 else {
                throw wrongType("a time as a string or as an integer of microseconds")
            }
            return try integer(in: FrameLimits.timeRange)
        }
        let start = position
        let range = try string(into: &scratch)
        defer { scratch.truncate(to: range.lowerBound) }
        do throws(TimeText.Fault) {
            return try TimeText.parse(scratch[range])
        } catch {
            throw fault(.badTime(error), at: start)
        }
    }

    /// An object of string to string.
    mutating func tags(_ scratch: inout GrowingBytes) throws(RecordLineError) -> Tags {
        let start = position
        let scratchStart = scratch.count
        defer { scratch.truncate(to: scratchStart) }
        guard take("{") else { throw wrongType("an object of string to string") }
        skipSpace()
        var pairs: [Tags.Pair] = []
        var keyStarts: [Int] = []
        if take("}") { return Tags(pairs) }
        repeat {
            guard pairs.count < FrameLimits.tagsPerRecordMax else { throw fault(.tooManyTags, at: start) }
            keyStarts.append(position)
            let key = try boundedString(&scratch)
            do throws(RecordLineError) {
                try takeColon()
                pairs.append(Tags.Pair(key: key, value: try boundedString(&scratch)))
            } catch {
                throw error.in(field: key)
            }
        } while try takeComma()
        let tags = Tags(pairs)
        if tags.pairs.count < pairs.count {
            // Rare enough to look for it again: the first key that an earlier pair has.
            for index in pairs.indices where pairs[..<index].contains(where: { Self.equal($0.key, pairs[index].key) }) {
                throw fault(.duplicateField, at: keyStarts[index]).in(field: pairs[index].key)
            }
        }
        return tags
    }

    /// Compares bytes: Swift's own comparison takes canonically equivalent texts for equal.
    private static func equal(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }

    private mutating func boundedString(_ scratch: inout GrowingBytes) throws(RecordLineError) -> String {
        let start = position
        let range = try string(into: &scratch)
        guard range.count <= FrameLimits.stringBytesMax else {
            throw fault(.textTooLong(bytes: range.count), at: start)
        }
        defer { scratch.truncate(to: range.lowerBound) }
        return String(decoding: scratch[range], as: UTF8.self)
    }

    /// Any JSON object.
    mutating func metadata() throws(RecordLineError) -> Metadata {
        let start = position
        guard peek == UInt8(ascii: "{") else { throw wrongType("an object") }
        try skipValue()
        let text = bytes(from: start, to: position)
        guard let json = String(validating: text, as: UTF8.self) else {
            throw fault(.invalidUTF8, at: start + Self.firstInvalidByte(of: text))
        }
        do throws(RecordError) {
            return try Metadata(json: json)
        } catch {
            guard case .invalidMetadata(let offset, let reason) = error else {
                if case .textTooLong(let bytes) = error { throw fault(.textTooLong(bytes: bytes), at: start) }
                throw fault(.unencodable(error), at: start)
            }
            let place = start + Self.offset(ofCompact: offset, in: text)
            throw fault(metadataFault(reason, at: place), at: place)
        }
    }

    /// A closer name for what is wrong with metadata, where an escape is at fault.
    private func metadataFault(_ reason: FrameError.Reason, at offset: Int) -> RecordLineError.Reason {
        guard byte(at: offset) == UInt8(ascii: "\\"), byte(at: offset + 1) == UInt8(ascii: "u") else {
            return .badMetadata(reason)
        }
        let digits = bytes(from: min(offset + 2, end), to: min(offset + 6, end))
        switch UInt32(String(decoding: digits, as: UTF8.self), radix: 16) {
        case 0: return .nullCharacter
        case .some(0xD800...0xDFFF): return .loneSurrogate
        default: return .badMetadata(reason)
        }
    }

    /// Where a byte of the object without whitespace stands in the object as written.
    private static func offset(ofCompact target: Int, in text: UnsafeRawBufferPointer) -> Int {
        var compact = 0
        var inString = false
        var isEscaped = false
        for (offset, byte) in text.enumerated() {
            if !inString, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { continue }
            if compact == target { return offset }
            compact += 1
            if isEscaped {
                isEscaped = false
            } else if inString, byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                inString.toggle()
            }
        }
        return max(text.count - 1, 0)
    }

    private static func firstInvalidByte(of text: UnsafeRawBufferPointer) -> Int {
        var offset = 0
        var decoder = UTF8()
        var iterator = text.makeIterator()
        loop: while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): offset += UTF8.width(scalar)
            case .emptyInput, .error: break loop
            }
        }
        return min(offset, max(text.count - 1, 0))
    }
}
