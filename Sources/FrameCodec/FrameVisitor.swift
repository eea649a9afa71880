// What a decoder tells about the records of a frame. A visitor turns it into rows, JSON or another frame.

import MetricKinds

/// Takes the records of a frame in order. Texts are valid UTF-8 without U+0000, metadata is a JSON object; the spans live
/// only for the call.
///
/// A text comes by the longer of its two forms, which by default calls the shorter one.
///
/// For each record: `beginRecord`, then each of the kind's fields in order, present or absent, then tags, metadata and
/// `endRecord`. When decoding throws, what was said since the frame's start does not hold: the visitor takes it back.
public protocol FrameVisitor: ~Copyable {
    /// - Parameter recordCount: as the block claims it, bounded by `FrameLimits.recordsPerFrameMax`.
    mutating func beginBlock(_ kind: MetricKind, recordCount: Int)
    /// - Parameter time: microseconds since the Unix epoch.
    mutating func beginRecord(_ kind: MetricKind, time: Int64)

    mutating func absent(_ column: Int)
    mutating func text(_ column: Int, _ value: RawSpan)
    /// The same text as the first `count` bytes of a longer span. What stands behind them is not the text's, but may be
    /// read, which spares the copy of a short text the branches on its length.
    mutating func text(_ column: Int, startOf window: RawSpan, count: Int)
    mutating func bool(_ column: Int, _ value: Bool)
    mutating func int32(_ column: Int, _ value: Int32)
    mutating func int64(_ column: Int, _ value: Int64)
    mutating func float32(_ column: Int, _ value: Float)
    mutating func float64(_ column: Int, _ value: Double)

    mutating func absentTags()
    /// Followed by `tag` so many times, keys ascending as bytes, and `endTags`.
    mutating func beginTags(count: Int)
    mutating func tag(key: RawSpan, value: RawSpan)
    mutating func endTags()

    mutating func absentMetadata()
    mutating func metadata(_ json: RawSpan)

    mutating func endRecord()

    /// A block of a kind that this program does not know was passed over.
    mutating func skippedBlock(kindID: UInt8, recordCount: Int)
}

extension FrameVisitor where Self: ~Copyable {
    @inlinable @inline(__always)
    public mutating func text(_ column: Int, startOf window: RawSpan, count: Int) {
        text(column, window.extracting(first: count))
    }
}
