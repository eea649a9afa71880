// One input of the fuzzer: what must hold for any bytes. A broken promise traps, which the fuzzer reports.
//
// 1. Any bytes are either admitted and decoded or refused with an offset inside of them: nothing else happens.
// 2. What decodes can be encoded, and the encoder's frames decode to the same records, bit for bit.

import FrameCodec
import MetricKinds

/// Tries bytes as they are, and as the frame that they are after repair.
struct FuzzedFrame: ~Copyable {
    private var decoder = FrameDecoder()

    mutating func run(_ input: UnsafeRawBufferPointer) {
        check(input)
        Self.repaired(input).withUnsafeBytes { check($0) }
    }

    /// The bytes as a frame whose header holds: magic, version, lengths, flags, limits and checksum are made right, so
    /// that the payload is what the fuzzer works on.
    static func repaired(_ input: UnsafeRawBufferPointer) -> [UInt8] {
        var frame = [UInt8](input.prefix(FrameLimits.frameBytesMax))
        if frame.count < FrameHeader.lengthMin {
            frame = [UInt8](repeating: 0, count: FrameHeader.lengthMin) + frame
            frame[48] = 1
        }
        frame.replaceSubrange(0..<5, with: [0x53, 0x50, 0x57, 0x59, 1])
        if FrameType(rawValue: frame[6]) == nil { frame[6] = 0 }
        frame[7] &= 0b1111_0000
        let headerLength = min(max(Int(frame[5]), FrameHeader.lengthMin), frame.count)
        frame[5] = UInt8(headerLength)
        func put(_ value: UInt32, at offset: Int) {
            for byte in 0..<4 { frame[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(byte))) }
        }
        put(UInt32(frame.count - headerLength), at: 8)
        if frame[47] >= 0x80 { frame[47] = 0xFE }  // a base time far enough from the first one
        if frame[6] == 0 {
            frame[49] &= 0x3F
            if frame[48] == 0, frame[49] == 0 { frame[48] = 1 }
            (frame[50], frame[51]) = (0, 0)
        } else {
            put(0, at: 48)
        }
        put(0, at: 12)
        put(frame.withUnsafeBytes { Checksum.crc32c($0.bytes) }, at: 12)
        return frame
    }

    private mutating func check(_ bytes: UnsafeRawBufferPointer) {
        do throws(FrameError) {
            let header = try FrameHeader.admit(bytes.bytes)
            guard header.type == .records else { return try checkControl(bytes.bytes, header) }
            var original = FrameTranscript()
            try decoder.decode(bytes.bytes, header: header, &original)
            precondition(original.recordCount + original.collector.skipped == header.recordCount)
            checkEncoder(original)
        } catch {
            precondition((0...max(bytes.count, 52)).contains(error.offset), "\(error) is outside of the frame")
        }
    }

    /// Encodes the records again: into one frame or into several, when times lie too far apart.
    private mutating func checkEncoder(_ original: borrowing FrameTranscript) {
        var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        var again = FrameTranscript()
        for record in original.collector.records {
            do throws(RecordError) {
                if try encoder.append(record) { continue }
                decode(&encoder, into: &again)
                let fits = try encoder.append(record)
                precondition(fits, "an empty frame is full")
            } catch .expansionTooLarge {
                // Only what was skipped made the frame large enough for its texts.
                return
            } catch {
                preconditionFailure("a decoded record cannot be encoded: \(error)")
            }
        }
        decode(&encoder, into: &again)
        precondition(again.bytes == original.bytes, "records changed on their way")
    }

    private mutating func decode(_ encoder: inout FrameEncoder, into transcript: inout FrameTranscript) {
        let frame = encoder.finish(FrameIdentity()) { span in span.withUnsafeBytes { [UInt8]($0) } }
        guard let frame else { return }
        do throws(FrameError) {
            let header = try FrameHeader.admit(frame.span.bytes)
            try decoder.decode(frame.span.bytes, header: header, &transcript)
        } catch {
            preconditionFailure("the decoder refuses the encoder's frame: \(error)")
        }
    }

    private func checkControl(_ frame: RawSpan, _ header: FrameHeader) throws(FrameError) {
        func check(_ content: some ControlFrame) {
            let payload = frame.withUnsafeBytes { [UInt8]($0[header.headerLength..<header.frameLength]) }
            precondition(content.payload == payload, "a frame of type \(header.type) has two forms")
        }
        switch header.type {
        case .records: preconditionFailure("not a frame of another type")
        case .heartbeat: check(try HeartbeatFrame(frame: frame, header: header))
        case .welcome: check(try WelcomeFrame(frame: frame, header: header))
        case .acknowledgement: check(try AcknowledgementFrame(frame: frame, header: header))
        case .refusal: check(try RefusalFrame(frame: frame, header: header))
        case .receipt: check(try ReceiptFrame(frame: frame, header: header))
        }
    }
}
