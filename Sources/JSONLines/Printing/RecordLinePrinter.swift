// Frames into JSON lines: the way out for everything that does not speak frames. What is printed reads back to the same
// record, floats included.

import FrameCodec
import MetricKinds

/// Prints the records of frames as JSON lines. Not shared between threads; its memory is kept.
public struct RecordLinePrinter: FrameVisitor, ~Copyable {
    /// Lines since `removeAll`.
    public private(set) var lineCount = 0
    /// Records of kinds that this program does not know, which cannot be printed, since `removeAll`.
    public private(set) var skippedCount = 0

    private var output = GrowingBytes(capacity: 65_536)
    private let plans = FieldPlans()
    private var fields = UnsafeBufferPointer<FieldPlan>(start: nil, count: 0)
    private var tagCount = 0

    public init() {}

    /// Bytes printed since `removeAll`.
    public var byteCount: Int { output.count }

    /// All lines printed since `removeAll`, each with its line end.
    public func withBytes<Result, Failure: Error>(_ body: (RawSpan) throws(Failure) -> Result) throws(Failure) -> Result
    {
        try body(output.bytes.bytes)
    }

    /// Forgets what was printed and keeps the memory.
    public mutating func removeAll() {
        output.truncate(to: 0)
        (lineCount, skippedCount) = (0, 0)
    }

    /// Prints the records of an admitted frame.
    ///
    /// - Throws: the frame's first fault; then nothing of this frame was printed.
    /// - Complexity: O(bytes printed).
    public mutating func print(
        _ frame: RawSpan, header: FrameHeader, using decoder: inout FrameDecoder
    ) throws(FrameError) {
        let mark = (output.count, lineCount, skippedCount)
        do throws(FrameError) {
            try decoder.decode(frame, header: header, &self)
        } catch {
            output.truncate(to: mark.0)
            (lineCount, skippedCount) = (mark.1, mark.2)
            throw error
        }
    }

    // MARK: FrameVisitor

    public mutating func beginBlock(_ kind: MetricKind, recordCount: Int) { fields = plans.fields(of: kind) }

    public mutating func beginRecord(_ kind: MetricKind, time: Int64) {
        output.append("{\"kind\":\"")
        output.append(kind.name)
        output.append("\",\"time\":\"")
        output.append(time: time)
        output.append(UInt8(ascii: "\""))
    }

    public mutating func absent(_ column: Int) {}

    public mutating func text(_ column: Int, _ value: RawSpan) {
        name(column)
        value.withUnsafeBytes { output.append(quoted: $0) }
    }

    public mutating func bool(_ column: Int, _ value: Bool) {
        name(column)
        output.append(value ? "true" : "false")
    }

    public mutating func int32(_ column: Int, _ value: Int32) { int64(column, Int64(value)) }

    public mutating func int64(_ column: Int, _ value: Int64) {
        name(column)
        output.append(value)
    }

    public mutating func float32(_ column: Int, _ value: Float) {
        name(column)
        output.append(float: value)
    }

    public mutating func float64(_ column: Int, _ value: Double) {
        name(column)
        output.append(float: value)
    }

    public mutating func absentTags() {}

    public mutating func beginTags(count: Int) {
        output.append(",\"tags\":{")
        tagCount = 0
    }

    public mutating func tag(key: RawSpan, value: RawSpan) {
        if tagCount > 0 { output.append(UInt8(ascii: ",")) }
        key.withUnsafeBytes { output.append(quoted: $0) }
        output.append(UInt8(ascii: ":"))
        value.withUnsafeBytes { output.append(quoted: $0) }
        tagCount += 1
    }

    public mutating func endTags() { output.append(UInt8(ascii: "}")) }

    /// Tags as a JSON object already, in place of the calls from `beginTags` to `endTags`.
    public mutating func tags(json: RawSpan) {
        output.append(",\"tags\":")
        json.withUnsafeBytes { output.append($0) }
    }

    public mutating func absentMetadata() {}

    public mutating func metadata(_ json: RawSpan) {
        output.append(",\"metadata\":")
        json.withUnsafeBytes { output.append($0) }
    }

    public mutating func endRecord() {
        output.append("}\n")
        lineCount += 1
    }

    public mutating func skippedBlock(kindID: UInt8, recordCount: Int) { skippedCount += recordCount }

    @inline(__always)
    private mutating func name(_ column: Int) { output.append(plans.member(fields[column])) }
}
