import LinuxSystem

/// Times as records have them: microseconds since the Unix epoch, UTC.
public enum Timestamp {
    /// The present moment. About 20 ns.
    public static var now: Int64 { wallClockMicroseconds() }
}
