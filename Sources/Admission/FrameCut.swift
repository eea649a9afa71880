// Whether the bytes at some place are a frame that is taken. Decides only.

import FrameCodec

/// What is at the start of some bytes of a stream.
package enum FrameCut: Equatable {
    /// A frame for this collector.
    case frame(FrameHeader)
    /// A frame that is refused. Its lengths are sound, so the stream continues after it. Its identity has a sequence only if
    /// it is a record frame: that of a heartbeat is the last record frame's, which is not refused.
    case refused(FrameError, FrameIdentity, frameBytes: Int)
    /// Not whole yet: it is checked again once this number of bytes has come.
    case incomplete(neededBytes: Int)
    /// Where the next frame would begin cannot be known: the stream ends here.
    case broken(FrameError)

    /// Looks at the start of `bytes`. O(frame length).
    package init(at bytes: RawSpan) {
        guard bytes.byteCount >= FrameHeader.lengthMin else {
            self = .incomplete(neededBytes: FrameHeader.lengthMin)
            return
        }
        do throws(FrameError) {
            self = try Self.cut(bytes, header: try FrameHeader.read(bytes))
        } catch {
            let isFromTheFuture = error.reason == .unknownType || error.reason == .unknownFlag
            self = isFromTheFuture ? Self.cutUnknown(bytes, error) : .broken(error)
        }
    }

    /// What is wrong with bytes that end within a frame.
    ///
    /// - Parameter bytes: those that are `incomplete`.
    package static func truncation(of bytes: RawSpan) -> FrameError {
        do throws(FrameError) {
            _ = try FrameHeader.admit(bytes)
            preconditionFailure("a whole frame is not incomplete")
        } catch {
            return error
        }
    }

    private static func cut(_ bytes: RawSpan, header: FrameHeader) throws(FrameError) -> FrameCut {
        guard bytes.byteCount >= header.frameLength else { return .incomplete(neededBytes: header.frameLength) }
        let frame = bytes.extracting(0..<header.frameLength)
        do throws(FrameError) {
            _ = try FrameHeader.admit(frame)
        } catch {
            guard error.isBehindChecksum else { return .broken(error) }
            return .refused(error, header.refusedIdentity, frameBytes: header.frameLength)
        }
        if let error = header.faultFromClient(frame) {
            return .refused(error, header.refusedIdentity, frameBytes: header.frameLength)
        }
        return .frame(header)
    }

    /// A frame with a type or a flag from the future is skipped if its lengths and its checksum are sound.
    private static func cutUnknown(_ bytes: RawSpan, _ futureError: FrameError) -> FrameCut {
        do throws(FrameError) {
            let header = try readIgnoringTypeAndFlags(bytes)
            guard bytes.byteCount >= header.frameLength else { return .incomplete(neededBytes: header.frameLength) }
            guard hasSoundChecksum(bytes.extracting(0..<header.frameLength)) else {
                return .broken(futureError)
            }
            let isRecordFrame = bytes.withUnsafeBytes { $0[FrameHeader.typeOffset] == FrameType.records.rawValue }
            return .refused(
                futureError, isRecordFrame ? header.identity : header.identity.withoutSequence,
                frameBytes: header.frameLength)
        } catch {
            // It cannot be skipped: its length is not known.
            return .broken(futureError)
        }
    }

    private static func readIgnoringTypeAndFlags(_ bytes: RawSpan) throws(FrameError) -> FrameHeader {
        var copy = InlineArray<52, UInt8>(repeating: 0)
        bytes.withUnsafeBytes { all in
            for index in 0..<FrameHeader.lengthMin { copy[index] = all[index] }
        }
        copy[FrameHeader.typeOffset] = FrameType.heartbeat.rawValue
        copy[FrameHeader.typeOffset + 1] &= ~FrameHeader.criticalFlags
        return try FrameHeader.read(copy.span.bytes)
    }

    private static func hasSoundChecksum(_ frame: RawSpan) -> Bool {
        let place = 12..<16
        let zero: UInt32 = 0
        var crc = Checksum.crc32c(frame.extracting(0..<place.lowerBound))
        crc = withUnsafeBytes(of: zero) { Checksum.crc32c($0.bytes, continuing: crc) }
        crc = Checksum.crc32c(frame.extracting(place.upperBound..<frame.byteCount), continuing: crc)
        let stored = frame.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place.lowerBound, as: UInt32.self) }
        return crc == UInt32(littleEndian: stored)
    }
}
