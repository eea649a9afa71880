// Every limit of the spill, in one place: protocol/spill-log.md has the same table.

/// What bounds a spill.
public struct SpillLimits: Sendable {
    /// A segment's size, in bytes; a batch that would pass it begins another one.
    public var segmentBytesMax = 128 << 20
    /// All segments together, in bytes.
    public var quotaBytes: UInt64 = 10 << 30
    /// How much of the disk stays free, in percent.
    public var freePercentMin = 5.0

    public init() {}
}

/// The limits of the format.
public enum SpillFormat {
    /// The frames of one batch, in bytes.
    public static let batchBytesMax = 65 << 20
    /// The content of a record: what stands in a skippable frame, in bytes.
    static let recordBytesMax = 64 << 20
    /// `53 2A 4D 18`: one of the sixteen that LZ4 readers skip.
    static let skippableMagic: UInt32 = 0x184D_2A53
    /// "SPWB".
    static let recordMagic: UInt32 = 0x4257_5053
    static let version: UInt8 = 1
    /// Of a batch's record that says which of its frames are acknowledged. One without acknowledged frames has version 1.
    static let versionWithFlags: UInt8 = 2
    /// Skippable frame's magic and size, record's magic, version, type, zero, ordinal, epoch, sequence, chain.
    static let prefixBytes = 36
    static let checksumBytes = 4
    /// The fixed part of a batch's record behind the prefix.
    static let batchFieldsBytes = 56
    static let sessionFieldsBytes = 20
    static let rangeBytes = 16
    static let headerRecordBytes = prefixBytes + 16 + checksumBytes
    static let sealRecordBytes = prefixBytes + 12 + checksumBytes
    /// An LZ4 frame without a block: a segment does not begin with a skippable frame, which some readers dislike.
    static let emptyFrame: [UInt8] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82, 0, 0, 0, 0]
}
