/// The limits of JSON lines; those of records are the protocol's, in `FrameLimits`.
public enum RecordLineLimits {
    /// One line without its end, in bytes. A record of the largest frame has room, escapes included.
    public static let lineBytesMax = 4_194_304

    /// Integer times of the years 2000 to 2099, in microseconds since the Unix epoch. Today's seconds, milliseconds and
    /// nanoseconds are all outside of it.
    public static let plausibleTimes: Range<Int64> = 946_684_800_000_000..<4_102_444_800_000_000
}
