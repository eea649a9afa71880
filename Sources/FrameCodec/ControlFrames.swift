// The frames without records: heartbeats of clients, replies of the collector. protocol/frame.md, "Payloads of the other
// frames". They are rare, so they are plain values with arrays.

/// A frame without records, as a value.
public protocol ControlFrame: Equatable, Sendable {
    static var type: FrameType { get }
    /// Reads an admitted frame of this type.
    init(frame: RawSpan, header: FrameHeader) throws(FrameError)
    /// The payload's bytes.
    var payload: [UInt8] { get }
}

extension ControlFrame {
    /// The whole frame.
    public func encoded(_ identity: FrameIdentity, baseTime: Int64 = 0) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: FrameHeader.lengthMin) + payload
        bytes.withUnsafeMutableBytes {
            FrameHeader.write(Self.type, identity: identity, baseTime: baseTime, recordCount: 0, to: $0)
        }
        return bytes
    }

    /// Reads a payload to its end.
    static func read<Value>(
        _ frame: RawSpan, _ header: FrameHeader, _ body: (inout WireReader) throws(FrameError) -> Value
    ) throws(FrameError) -> Value {
        precondition(header.type == type && frame.byteCount >= header.frameLength)
        let result: Result<Value, FrameError> = frame.withUnsafeBytes { bytes in
            do throws(FrameError) {
                var wire = WireReader(bytes, from: header.headerLength, to: header.frameLength)
                let value = try body(&wire)
                guard wire.position == wire.end else { throw FrameError(.trailingBytes, at: wire.position) }
                return .success(value)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

/// Totals of a client's session, so that a lost tail shows too.
public struct HeartbeatFrame: ControlFrame {
    public static let type = FrameType.heartbeat
    public var framesSent: UInt64
    public var recordsSent: UInt64
    public var bytesSent: UInt64
    /// Records that the client dropped before it sent them.
    public var recordsDropped: UInt64
    /// The source's name for people, at most `FrameLimits.controlTextBytesMax` bytes.
    public var name: String

    public init(framesSent: UInt64, recordsSent: UInt64, bytesSent: UInt64, recordsDropped: UInt64, name: String) {
        self.framesSent = framesSent
        self.recordsSent = recordsSent
        self.bytesSent = bytesSent
        self.recordsDropped = recordsDropped
        self.name = cutControlText(name)
    }

    public init(frame: RawSpan, header: FrameHeader) throws(FrameError) {
        self = try Self.read(frame, header) { (wire) throws(FrameError) in
            HeartbeatFrame(
                framesSent: try wire.varint(), recordsSent: try wire.varint(), bytesSent: try wire.varint(),
                recordsDropped: try wire.varint(), name: try wire.controlText())
        }
    }

    public var payload: [UInt8] {
        var bytes: [UInt8] = []
        for value in [framesSent, recordsSent, bytesSent, recordsDropped] { appendVarint(value, to: &bytes) }
        appendText(name, to: &bytes)
        return bytes
    }
}

/// What the collector takes, and what it has of the session already.
public struct WelcomeFrame: ControlFrame {
    public static let type = FrameType.welcome
    public var frameBytesMax: UInt64
    public var recordsPerFrameMax: UInt64
    public var durable: SequenceRanges

    public init(frameBytesMax: UInt64, recordsPerFrameMax: UInt64, durable: SequenceRanges) {
        self.frameBytesMax = frameBytesMax
        self.recordsPerFrameMax = recordsPerFrameMax
        self.durable = durable
    }

    public init(frame: RawSpan, header: FrameHeader) throws(FrameError) {
        self = try Self.read(frame, header) { (wire) throws(FrameError) in
            WelcomeFrame(
                frameBytesMax: try wire.varint(), recordsPerFrameMax: try wire.varint(),
                durable: try SequenceRanges(&wire))
        }
    }

    public var payload: [UInt8] {
        var bytes: [UInt8] = []
        appendVarint(frameBytesMax, to: &bytes)
        appendVarint(recordsPerFrameMax, to: &bytes)
        durable.append(to: &bytes)
        return bytes
    }
}

/// The sequences of the session that are durable.
public struct AcknowledgementFrame: ControlFrame {
    public static let type = FrameType.acknowledgement
    public var durable: SequenceRanges

    public init(durable: SequenceRanges) { self.durable = durable }

    public init(frame: RawSpan, header: FrameHeader) throws(FrameError) {
        durable = try Self.read(frame, header) { (wire) throws(FrameError) in try SequenceRanges(&wire) }
    }

    public var payload: [UInt8] {
        var bytes: [UInt8] = []
        durable.append(to: &bytes)
        return bytes
    }
}

/// Why a frame was not taken.
public struct RefusalFrame: ControlFrame {
    public static let type = FrameType.refusal
    /// A code that this program may not know: `FrameError.Reason` has those of today.
    public var reasonCode: UInt64
    public var offset: UInt64
    /// An explanation for people, at most `FrameLimits.controlTextBytesMax` bytes.
    public var text: String

    public init(_ error: FrameError) {
        self.init(
            reasonCode: UInt64(error.reason.rawValue), offset: UInt64(max(error.offset, 0)), text: error.description)
    }

    public init(reasonCode: UInt64, offset: UInt64, text: String) {
        self.reasonCode = reasonCode
        self.offset = offset
        self.text = cutControlText(text)
    }

    public init(frame: RawSpan, header: FrameHeader) throws(FrameError) {
        self = try Self.read(frame, header) { (wire) throws(FrameError) in
            RefusalFrame(reasonCode: try wire.varint(), offset: try wire.varint(), text: try wire.controlText())
        }
    }

    public var payload: [UInt8] {
        var bytes: [UInt8] = []
        appendVarint(reasonCode, to: &bytes)
        appendVarint(offset, to: &bytes)
        appendText(text, to: &bytes)
        return bytes
    }
}

/// What the collector took of one connection, when the client has closed its side.
public struct ReceiptFrame: ControlFrame {
    public static let type = FrameType.receipt
    public var framesAccepted: UInt64
    public var recordsAccepted: UInt64
    public var framesRefused: UInt64
    public var framesDuplicate: UInt64

    public init(framesAccepted: UInt64, recordsAccepted: UInt64, framesRefused: UInt64, framesDuplicate: UInt64) {
        self.framesAccepted = framesAccepted
        self.recordsAccepted = recordsAccepted
        self.framesRefused = framesRefused
        self.framesDuplicate = framesDuplicate
    }

    public init(frame: RawSpan, header: FrameHeader) throws(FrameError) {
        self = try Self.read(frame, header) { (wire) throws(FrameError) in
            ReceiptFrame(
                framesAccepted: try wire.varint(), recordsAccepted: try wire.varint(),
                framesRefused: try wire.varint(), framesDuplicate: try wire.varint())
        }
    }

    public var payload: [UInt8] {
        var bytes: [UInt8] = []
        for value in [framesAccepted, recordsAccepted, framesRefused, framesDuplicate] {
            appendVarint(value, to: &bytes)
        }
        return bytes
    }
}

// MARK: Items

private func appendVarint(_ value: UInt64, to bytes: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
    }
    bytes.append(UInt8(rest))
}

private func appendText(_ text: String, to bytes: inout [UInt8]) {
    appendVarint(UInt64(text.utf8.count), to: &bytes)
    bytes.append(contentsOf: text.utf8)
}

/// The text without U+0000, cut at a character's boundary to what a control frame may carry.
private func cutControlText(_ text: String) -> String {
    var cut = ""
    for character in text where character != "\0" {
        guard cut.utf8.count + character.utf8.count <= FrameLimits.controlTextBytesMax else { break }
        cut.append(character)
    }
    return cut
}

extension WireReader {
    fileprivate mutating func controlText() throws(FrameError) -> String {
        String(decoding: try string(limit: FrameLimits.controlTextBytesMax), as: UTF8.self)
    }
}

extension SequenceRanges {
    fileprivate func append(to bytes: inout [UInt8]) {
        appendVarint(UInt64(ranges.count), to: &bytes)
        var end: UInt64 = 0
        for range in ranges {
            appendVarint(range.lowerBound - end, to: &bytes)
            appendVarint(range.upperBound - range.lowerBound, to: &bytes)
            end = range.upperBound
        }
    }
}
