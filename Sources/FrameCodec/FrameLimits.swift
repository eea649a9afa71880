// Every limit of the wire protocol, in one place: protocol/frame.md has the same table.

/// What a frame may hold. Each is checked before anything is allocated or multiplied.
public enum FrameLimits {
    /// Header and payload together, in bytes.
    public static let frameBytesMax = 1_048_576
    /// What an encoder fills by default for UDP: fits an Ethernet packet with room for tunnels, in bytes.
    public static let datagramBytesDefault = 1_400
    /// The largest datagram that IPv4 can carry, in bytes.
    public static let datagramBytesMax = 65_507
    /// Records in all blocks of a frame together.
    public static let recordsPerFrameMax = 16_384
    /// Strings in a frame's dictionary.
    public static let stringsPerDictionaryMax = 16_384
    /// A text, a tag's key or value, or a metadata text, in bytes.
    public static let stringBytesMax = 65_536
    /// Pairs in one record's tags.
    public static let tagsPerRecordMax = 256
    /// Open objects and arrays in metadata.
    public static let jsonDepthMax = 64
    /// One number in metadata, in bytes.
    public static let jsonNumberBytesMax = 256
    /// Digits of the exponent of a number in metadata.
    public static let jsonExponentDigitsMax = 3
    /// All texts of all records of a frame, each counted as often as a record has it, against the payload's length.
    public static let expansionFactorMax = 16
    /// Bits of a record's presence bitmap.
    public static let presenceBitsMax = 64
    /// Ranges of sequences in a welcome or an acknowledgement.
    public static let rangesMax = 1_024
    /// The name in a heartbeat and the explanation in a refusal, in bytes.
    public static let controlTextBytesMax = 255
    /// The first and the last time that TIMESTAMPTZ holds, in microseconds since the Unix epoch.
    /// (The column's own end lies behind the last Int64.)
    public static let timeRange: ClosedRange<Int64> = -210_866_803_200_000_000...Int64.max
    /// The times that every database stores: TimescaleDB's end eight days before the others'. A record with a later time is
    /// acknowledged and may become a dead letter.
    public static let storedTimeRange: ClosedRange<Int64> = timeRange.lowerBound...9_223_371_331_199_999_999
}
