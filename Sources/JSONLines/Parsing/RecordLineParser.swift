// One JSON line into one record: the way in for everything that does not speak frames.
//
// The kind comes first: if it is not the first member, the line is looked through for it. Then one pass reads each
// field into its place, so the order in the line does not matter, and the record is written in the order of the kind.
// Limits: a line has at most `RecordLineLimits.lineBytesMax` bytes; texts, tags and metadata have the protocol's
// limits.

import FrameCodec
import MetricKinds

/// Reads records from JSON lines. Not shared between threads; its memory is kept from line to line.
public struct RecordLineParser: ~Copyable {
    /// The kind of the record that was read last.
    public internal(set) var kind = MetricKind.routing
    /// Its time in microseconds since the Unix epoch.
    public internal(set) var time: Int64 = 0

    var tags: Tags?
    var metadata: Metadata?
    let plans = FieldPlans()
    let values: UnsafeMutablePointer<FieldSlot>
    /// Which fields of `values` hold.
    var present: UInt64 = 0
    /// Fields and other members that the line had already, null ones too.
    var seenFields: UInt64 = 0
    var seenMembers: UInt8 = 0
    /// Texts of the record without their escapes.
    var texts = GrowingBytes(capacity: 4_096)
    var hasTime = false
    var isComplete = false
    /// Whether an integer time may be of any year.
    let acceptsAnyTime: Bool
    /// Where the time is, if it is an integer, counted from 1; otherwise 0.
    var integerTimeColumn = 0

    /// A number's bits, or where a text lies.
    struct FieldSlot {
        var bits: UInt64 = 0
        var textStart = 0
        var textEnd = 0
    }

    /// - Parameter acceptsAnyTime: false refuses integer times before the year 2000 and from 2100 on, which are mostly seconds or
    ///   milliseconds. Times as text are what they say.
    public init(acceptsAnyTime: Bool = true) {
        self.acceptsAnyTime = acceptsAnyTime
        values = .allocate(capacity: FieldPlans.fieldsMax)
        values.initialize(repeating: FieldSlot(), count: FieldPlans.fieldsMax)
    }

    deinit { values.deallocate() }

    /// Reads a line, with or without its line end, and keeps its record for `append`.
    ///
    /// - Throws: the first fault; then there is no record.
    /// - Complexity: O(n), without allocation for records without tags and metadata.
    public mutating func parse(_ line: RawSpan) throws(RecordLineError) {
        let fault: RecordLineError? = line.withUnsafeBytes { bytes in
            do throws(RecordLineError) {
                try read(bytes)
                return nil
            } catch {
                return error
            }
        }
        if let fault { throw fault }
    }

    /// Appends the record that was read last.
    ///
    /// - Returns: false when the encoder's frame is full: finish it and append the record again.
    /// - Throws: a record that no frame can carry.
    /// - Precondition: the last `parse` did not throw.
    public borrowing func append(to encoder: inout FrameEncoder) throws(RecordLineError) -> Bool {
        precondition(isComplete, "no record was read")
        do throws(RecordError) {
            return try encoder.append(kind, time: time, tags: tags, metadata: metadata) {
                (writer) throws(RecordError) in try write(to: &writer)
            }
        } catch {
            throw RecordLineError(.unencodable(error), column: 1)
        }
    }

    @inline(__always)
    private borrowing func write(to writer: inout RecordWriter) throws(RecordError) {
        let fields = plans.fields(of: kind)
        for index in 0..<fields.count where present & (1 &<< UInt64(truncatingIfNeeded: index)) != 0 {
            let field = fields[index]
            let slot = values[index]
            switch field.type {
            case .text:
                let text = texts[slot.textStart..<slot.textEnd].bytes
                if field.prefixSlot >= 0 {
                    try writer.prefixedText(text, bit: field.bit, slot: field.prefixSlot)
                } else {
                    try writer.text(text, bit: field.bit)
                }
            case .bool: writer.bool(slot.bits != 0, bit: field.bit)
            case .int32: writer.int32(Int32(truncatingIfNeeded: slot.bits), bit: field.bit)
            case .int64: writer.int64(Int64(bitPattern: slot.bits), bit: field.bit)
            case .float32: writer.float32(Float(bitPattern: UInt32(truncatingIfNeeded: slot.bits)), bit: field.bit)
            case .float64: writer.float64(Double(bitPattern: slot.bits), bit: field.bit)
            }
        }
    }
}
