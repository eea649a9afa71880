// How a client buffers. The environment's names are those that users of this family of systems have already.

import Glibc

/// How a client buffers.
public struct MetricsClientOptions: Equatable, Sendable {
    /// How large datagrams become, in bytes.
    public var datagramBytes: Int
    /// So many records wait at most: then they are sent, whatever the interval says.
    public var bufferRecordsMax: Int
    /// Records wait no longer than this.
    public var flushIntervalSeconds: Double
    /// Over TCP: up to this many bytes of frames are kept that the collector has not acknowledged, and up to 65,536 frames.
    /// Records that find no room are dropped and counted.
    public var unacknowledgedBytesMax: Int
    /// Over TCP: how long `close` waits for the last acknowledgements.
    public var closeTimeoutSeconds: Double

    public init(
        datagramBytes: Int = FrameLimits.datagramBytesDefault, bufferRecordsMax: Int = 10_000,
        flushIntervalSeconds: Double = 30, unacknowledgedBytesMax: Int = 16 << 20, closeTimeoutSeconds: Double = 10
    ) {
        self.unacknowledgedBytesMax = max(unacknowledgedBytesMax, FrameLimits.frameBytesMax)
        self.closeTimeoutSeconds = min(max(closeTimeoutSeconds, 0), 86_400)
        self.datagramBytes = min(max(datagramBytes, 256), FrameLimits.datagramBytesMax)
        self.bufferRecordsMax = max(bufferRecordsMax, 1)
        self.flushIntervalSeconds = min(max(flushIntervalSeconds, 0.001), 86_400)
    }

    /// Whatever was set.
    var closeMilliseconds: Int {
        closeTimeoutSeconds.isNaN ? 0 : Int(min(max(closeTimeoutSeconds, 0), 86_400) * 1_000)
    }

    /// Whatever was set.
    var flushNanoseconds: UInt64 {
        guard flushIntervalSeconds.isFinite else { return 86_400_000_000_000 }
        return UInt64(min(max(flushIntervalSeconds, 0.001), 86_400) * 1_000) * 1_000_000
    }

    /// The defaults, changed by `METRICS_BUFFER_SIZE` (records) and `METRICS_FLUSH_INTERVAL` (seconds).
    ///
    /// - Throws: `badSetting` for a value that is not a positive number.
    public static func environment() throws(ClientError) -> MetricsClientOptions {
        try MetricsClientOptions { name in getenv(name).map { String(cString: $0) } }
    }

    init(_ variable: (String) -> String?) throws(ClientError) {
        self.init()
        if let text = variable("METRICS_BUFFER_SIZE"), !text.isEmpty {
            guard let records = Int(text), records > 0 else {
                throw .badSetting(name: "METRICS_BUFFER_SIZE", value: text, expected: "a number of records")
            }
            bufferRecordsMax = records
        }
        if let text = variable("METRICS_FLUSH_INTERVAL"), !text.isEmpty {
            guard let seconds = Double(text), seconds >= 0.001, seconds <= 86_400 else {
                throw .badSetting(name: "METRICS_FLUSH_INTERVAL", value: text, expected: "seconds, up to 86400")
            }
            flushIntervalSeconds = seconds
        }
    }
}
