// Short ways to make, take apart and break frames.

import FrameCodec

/// A decoded frame: its header, its records if it has any, or its content as another type.
struct WholeFrame {
    var header: FrameHeader
    var visitor = CollectingVisitor()
    var control: (any ControlFrame)?
}

/// Admits and decodes the frame at the start of `bytes`.
func decodeFrame(_ bytes: some Collection<UInt8>) throws(FrameError) -> WholeFrame {
    var decoder = FrameDecoder()
    return try decodeFrame(bytes, with: &decoder)
}

func decodeFrame(
    _ bytes: some Collection<UInt8>, with decoder: inout FrameDecoder
) throws(FrameError) -> WholeFrame {
    let copy = Array(bytes)
    let frame = copy.span.bytes
    var whole = WholeFrame(header: try FrameHeader.admit(frame))
    switch whole.header.type {
    case .records: try decoder.decode(frame, header: whole.header, &whole.visitor)
    case .heartbeat: whole.control = try HeartbeatFrame(frame: frame, header: whole.header)
    case .welcome: whole.control = try WelcomeFrame(frame: frame, header: whole.header)
    case .acknowledgement: whole.control = try AcknowledgementFrame(frame: frame, header: whole.header)
    case .refusal: whole.control = try RefusalFrame(frame: frame, header: whole.header)
    case .receipt: whole.control = try ReceiptFrame(frame: frame, header: whole.header)
    }
    return whole
}

/// The frames of a datagram.
func decodeFrames(_ bytes: [UInt8]) throws(FrameError) -> [WholeFrame] {
    var frames: [WholeFrame] = []
    var position = 0
    while position < bytes.count {
        let frame = try decodeFrame(bytes[position...])
        frames.append(frame)
        position += frame.header.frameLength
    }
    return frames
}

/// Why the frame is refused, or nil.
func fault(of bytes: some Collection<UInt8>) -> FrameError? {
    do throws(FrameError) {
        _ = try decodeFrame(bytes)
        return nil
    } catch {
        return error
    }
}

extension FrameEncoder {
    /// The finished frame, or nil without records.
    mutating func finished(_ identity: FrameIdentity = FrameIdentity()) -> [UInt8]? {
        finish(identity) { span in span.withUnsafeBytes { [UInt8]($0) } }
    }
}

/// An encoder that expectations can call: their macros take values that can be copied.
final class TestEncoder {
    private var encoder: FrameEncoder

    init(
        frameBytesTarget: Int = FrameLimits.datagramBytesDefault, frameBytesMax: Int = FrameLimits.frameBytesMax,
        recordsMax: Int = FrameLimits.recordsPerFrameMax
    ) {
        encoder = FrameEncoder(
            frameBytesTarget: frameBytesTarget, frameBytesMax: frameBytesMax, recordsMax: recordsMax)
    }

    var recordCount: Int { encoder.recordCount }

    func append(_ record: some MetricRecord) throws(RecordError) -> Bool { try encoder.append(record) }
    func append(_ record: AnyRecord) throws(RecordError) -> Bool { try encoder.append(record) }
    func removeAll() { encoder.removeAll() }
    func finished(_ identity: FrameIdentity = FrameIdentity()) -> [UInt8]? { encoder.finished(identity) }

    /// The finished frame of an encoder that has records.
    func frame(_ identity: FrameIdentity = FrameIdentity()) throws -> [UInt8] {
        guard let bytes = finished(identity) else { throw NoRecords() }
        return bytes
    }

    struct NoRecords: Error {}
}

/// The records in frames as large as may be.
func encodeFrames(_ records: [AnyRecord], identity: FrameIdentity = FrameIdentity()) throws -> [[UInt8]] {
    var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
    var frames: [[UInt8]] = []
    for record in records where try !encoder.append(record) {
        frames.append(encoder.finished(identity) ?? [])
        guard try encoder.append(record) else { throw EmptyFrameIsFull() }
    }
    if let last = encoder.finished(identity) { frames.append(last) }
    return frames
}

struct EmptyFrameIsFull: Error {}

/// Makes a changed frame's checksum right, and its payload length that of the bytes.
func repair(_ frame: inout [UInt8], length: Bool = false) {
    func put(_ value: UInt32, at offset: Int) {
        for byte in 0..<4 { frame[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(byte))) }
    }
    if length { put(UInt32(max(frame.count - Int(frame[5]), 0)), at: 8) }
    put(0, at: 12)
    put(Checksum.crc32c(frame.span.bytes), at: 12)
}

/// A plain point, whose texts are `text`.
func point(_ time: Int64, _ text: String? = nil, value: Double? = nil) -> PointRecord {
    PointRecord(time: time, metricName: text, value: value)
}
