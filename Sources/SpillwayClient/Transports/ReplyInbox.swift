// Bytes from the collector, cut into replies.
//
// A frame of a type that this program does not know is passed over, as frames of known types are that no collector sends:
// a later collector may have more to say. Its lengths and its checksum must be sound, or the stream cannot be followed.
// Limit: a frame's `FrameLimits.frameBytesMax`, and what `receive` added behind it.

import Glibc
import LinuxSystem

/// What a collector says on a connection.
public enum CollectorReply: Equatable, Sendable {
    case welcome(WelcomeFrame)
    case acknowledgement(AcknowledgementFrame)
    /// A frame that was not taken, and its sequence.
    case refusal(RefusalFrame, sequence: UInt64)
    case receipt(ReceiptFrame)
}

/// The replies of one connection in their order.
struct ReplyInbox {
    /// Bytes that were received and not taken.
    var byteCount: Int { bytes.count - start }

    private var bytes: [UInt8] = []
    /// How much was taken already.
    private var start = 0
    /// The target of a read: what was received is copied from its front.
    private var chunk = [UInt8](repeating: 0, count: readBytesMax)

    private static let readBytesMax = 65_536

    /// What a read gave.
    enum Received: Equatable {
        case bytes
        case nothingYet
        /// The collector has closed its side.
        case end
    }

    /// Reads once from a socket, without waiting.
    mutating func receive(
        _ descriptor: Int32, object: @autoclosure () -> String
    ) throws(SystemCallError) -> Received {
        let result = try systemCall("recv", object: object()) {
            chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT)) }
        }
        guard case .value(let count) = result else { return .nothingYet }
        guard count > 0 else { return .end }
        append(chunk[..<count])
        return .bytes
    }

    mutating func append(_ received: ArraySlice<UInt8>) {
        if start > 0 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += received
    }

    /// The reply at the front, if it is there as a whole, with the identity in its header.
    ///
    /// - Throws: bytes that are not a frame.
    mutating func next() throws(FrameError) -> (reply: CollectorReply, identity: FrameIdentity)? {
        while byteCount >= FrameHeader.lengthMin {
            // A copy of the reference, so that the place can move while the bytes are looked at.
            let held = bytes
            let rest = held.span.bytes.extracting(start..<held.count)
            let header: FrameHeader
            do throws(FrameError) {
                header = try FrameHeader.read(rest)
            } catch {
                guard error.reason == .unknownType else { throw error }
                guard let length = try Self.lengthOfUnknownFrame(rest) else { return nil }
                start += length
                continue
            }
            guard rest.byteCount >= header.frameLength else { return nil }
            let reply = try CollectorReply(frame: rest, header: try FrameHeader.admit(rest))
            start += header.frameLength
            if let reply { return (reply, header.identity) }
        }
        return nil
    }

    /// How long the frame of an unknown type at the front is; nil while it is not there as a whole.
    ///
    /// - Throws: a header or a checksum that is not sound.
    private static func lengthOfUnknownFrame(_ bytes: RawSpan) throws(FrameError) -> Int? {
        // The header's other checks are those of any frame: with a type that is known they take place.
        var head = bytes.withUnsafeBytes { Array($0[..<FrameHeader.lengthMin]) }
        head[typeOffset] = FrameType.heartbeat.rawValue
        let length = try FrameHeader.read(head.span.bytes).frameLength
        guard bytes.byteCount >= length else { return nil }
        let place = checksumOffset..<checksumOffset + 4
        let zero: [UInt8] = [0, 0, 0, 0]
        var checksum = Checksum.crc32c(bytes.extracting(0..<place.lowerBound))
        checksum = Checksum.crc32c(zero.span.bytes, continuing: checksum)
        checksum = Checksum.crc32c(bytes.extracting(place.upperBound..<length), continuing: checksum)
        let stored = place.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32(head[$1]) }
        guard checksum == stored else { throw FrameError(.checksumMismatch, at: checksumOffset) }
        return length
    }

    private static let typeOffset = 6
    private static let checksumOffset = 12
}

extension CollectorReply {
    /// Reads an admitted frame; nil when it is none that a collector sends.
    init?(frame: RawSpan, header: FrameHeader) throws(FrameError) {
        switch header.type {
        case .welcome: self = .welcome(try WelcomeFrame(frame: frame, header: header))
        case .acknowledgement: self = .acknowledgement(try AcknowledgementFrame(frame: frame, header: header))
        case .refusal:
            self = .refusal(try RefusalFrame(frame: frame, header: header), sequence: header.identity.sequence)
        case .receipt: self = .receipt(try ReceiptFrame(frame: frame, header: header))
        case .records, .heartbeat: return nil
        }
    }
}
