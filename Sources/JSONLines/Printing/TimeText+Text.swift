extension TimeText {
    /// A time as every line has it: RFC 3339 in UTC with six decimals, `2026-11-22T20:05:00.123456Z`.
    ///
    /// - Parameter time: microseconds since the Unix epoch.
    public static func text(_ time: Int64) -> String {
        var bytes = GrowingBytes(capacity: 64)
        bytes.append(time: time)
        return String(decoding: bytes.bytes, as: UTF8.self)
    }
}
