// Why a frame was refused. The codes and names are part of the protocol: protocol/frame.md, "Refusals".

/// A frame that is not as the protocol says: the first fault, and where it is.
public struct FrameError: Error, Equatable, Sendable, CustomStringConvertible {
    public let reason: Reason
    /// The byte at fault, counted from the frame's first byte.
    public let offset: Int

    @inlinable
    public init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    public var description: String { "\(reason.name) at byte \(offset): \(reason.explanation)" }

    /// The raw value is the code in a refusal frame.
    public enum Reason: UInt8, Sendable, CaseIterable {
        case truncatedHeader = 1
        case badMagic
        case unsupportedVersion
        case unknownType
        case unknownFlag
        case badHeaderLength
        case frameTooLarge
        case truncatedPayload
        case checksumMismatch
        case recordCountMismatch
        case timeOutOfRange
        case tooManyRecords
        case emptyFrame
        case truncated
        case overlongVarint
        case varintTooLarge
        case tooManyStrings
        case unusedString
        case duplicateString
        case stringTooLong
        case invalidUTF8
        case nullCharacter
        case blockOrder
        case badBlockVersion
        case badBitCount
        case noBlock
        case emptyBlock
        case trailingBytes
        case unusedBits
        case tooManyTags
        case tagOrder
        case danglingIndex
        case badPrefix
        case integerOutOfRange
        case badNaN
        case invalidJSON
        case jsonTooDeep
        case expansionTooLarge
        case badRanges
        case unknownKey
        case badAuthentication
        case authenticationRequired
        case truncatedDatagram
        case sequenceRefused
    }
}

extension FrameError.Reason {
    /// The reason's name in vectors, statistics and metrics, for example `checksum_mismatch`.
    public var name: String { Self.texts[Int(rawValue) - 1].name }

    /// What is wrong, for people.
    public var explanation: String { Self.texts[Int(rawValue) - 1].explanation }

    /// In the order of the codes.
    private static let texts: [(name: String, explanation: String)] = [
        ("truncated_header", "the header is cut off"),
        ("bad_magic", "this is not a Spillway frame"),
        ("unsupported_version", "this program reads version 1"),
        ("unknown_type", "a type of frame that this program does not know"),
        ("unknown_flag", "a flag that this program would have to understand"),
        ("bad_header_length", "the header is shorter than its version and flags need"),
        ("frame_too_large", "a frame has at most \(FrameLimits.frameBytesMax) bytes"),
        ("truncated_payload", "the payload is cut off"),
        ("checksum_mismatch", "the frame was damaged on its way"),
        ("record_count_mismatch", "the header's record count is not that of the blocks"),
        ("time_out_of_range", "TIMESTAMPTZ does not reach that far"),
        ("too_many_records", "a frame has at most \(FrameLimits.recordsPerFrameMax) records"),
        ("empty_frame", "a record frame has at least one record"),
        ("truncated", "it ends within an item"),
        ("overlong_varint", "a varint has its shortest form"),
        ("varint_too_large", "a varint has at most 64 bits"),
        ("too_many_strings", "a dictionary has at most \(FrameLimits.stringsPerDictionaryMax) strings"),
        ("unused_string", "no record refers to this string of the dictionary"),
        ("duplicate_string", "the dictionary has this string already"),
        ("string_too_long", "a string has at most \(FrameLimits.stringBytesMax) bytes"),
        ("invalid_utf8", "text is UTF-8"),
        ("null_character", "PostgreSQL cannot store U+0000"),
        ("block_order", "blocks stand in ascending order of kind, one for each"),
        ("bad_block_version", "versions of a kind begin at 1"),
        ("bad_bit_count", "the presence bits are not what the kind's version has"),
        ("no_block", "a record frame has at least one block"),
        ("empty_block", "a block has at least one record"),
        ("trailing_bytes", "bytes are left over"),
        ("unused_bits", "a bit without meaning is set"),
        ("too_many_tags", "a record has at most \(FrameLimits.tagsPerRecordMax) tags"),
        ("tag_order", "a record's tags stand in ascending order of their keys, one for each key"),
        ("dangling_index", "the dictionary has no such string"),
        ("bad_prefix", "the shared prefix is not the longest one"),
        ("integer_out_of_range", "the integer is outside of its type"),
        ("bad_nan", "there is one way to write NaN"),
        ("invalid_json", "metadata is a JSON object without whitespace around its parts"),
        ("json_too_deep", "metadata has at most \(FrameLimits.jsonDepthMax) levels"),
        ("expansion_too_large", "the records' texts are over \(FrameLimits.expansionFactorMax) times the payload"),
        ("bad_ranges", "ranges ascend without touching"),
        ("unknown_key", "the frame was signed with a key that this collector does not have"),
        ("bad_authentication", "the frame was not signed with the key that it names"),
        ("authentication_required", "this collector takes signed frames only"),
        ("truncated_datagram", "the datagram is larger than the receiver's buffer"),
        ("sequence_refused", "the collector cannot remember this frame: its sequence is over 2^63 - 2"),
    ]
}
