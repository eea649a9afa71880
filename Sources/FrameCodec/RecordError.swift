// Why a record could not be written into a frame.

/// A record that the protocol cannot carry. Nothing of it was written.
public enum RecordError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A text, tag or metadata text is over `FrameLimits.stringBytesMax`.
    case textTooLong(bytes: Int)
    /// A text, tag key or tag value has U+0000, which PostgreSQL cannot store.
    case nullCharacter
    /// Bytes given as a text are not UTF-8.
    case invalidUTF8
    /// Before the first time that TIMESTAMPTZ holds.
    case timeOutOfRange(Int64)
    case tooManyTags(Int)
    /// Metadata is not a JSON object, or over the limits for depth and numbers; the byte of the text at fault.
    case invalidMetadata(offset: Int, FrameError.Reason)
    /// The record alone is over the encoder's largest frame.
    case recordTooLarge(bytes: Int, limit: Int)
    /// The record alone uses the same long texts so often that no frame may carry it.
    case expansionTooLarge

    public var description: String {
        switch self {
        case .textTooLong(let bytes): "a text of \(bytes) bytes: at most \(FrameLimits.stringBytesMax) are stored"
        case .nullCharacter: "a text with U+0000, which PostgreSQL cannot store"
        case .invalidUTF8: "a text that is not UTF-8"
        case .timeOutOfRange(let time): "time \(time) lies before 4714-11-24 BC, where TIMESTAMPTZ begins"
        case .tooManyTags(let count): "\(count) tags: at most \(FrameLimits.tagsPerRecordMax) are stored"
        case .invalidMetadata(let offset, let reason): "metadata at its byte \(offset): \(reason.explanation)"
        case .recordTooLarge(let bytes, let limit): "a record of \(bytes) bytes: at most \(limit) fit in a frame"
        case .expansionTooLarge:
            "the record repeats its texts to over \(FrameLimits.expansionFactorMax) times its frame"
        }
    }
}
