/// The limits of JSON lines; those of records are the protocol's, in `FrameLimits`.
public enum RecordLineLimits {
    /// One line without its end, in bytes. A record of the largest frame has room, escapes included.
    public static let lineBytesMax = 4_194_304
}
