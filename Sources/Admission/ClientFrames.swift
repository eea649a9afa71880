// What both listeners ask of an admitted frame, beyond the protocol's own checks.

import FrameCodec

extension FrameHeader {
    /// Why this collector does not take the admitted frame from a client, if it does not.
    package func faultFromClient(_ frame: RawSpan) -> FrameError? {
        if isAuthenticated { return FrameError(.unknownKey, at: Self.lengthMin) }
        switch type {
        case .records: return nil
        case .heartbeat:
            do throws(FrameError) {
                _ = try HeartbeatFrame(frame: frame, header: self)
                return nil
            } catch {
                return error
            }
        case .welcome, .acknowledgement, .refusal, .receipt: return FrameError(.unknownType, at: Self.typeOffset)
        }
    }

    /// What a refusal of this frame names.
    package var refusedIdentity: FrameIdentity { type == .records ? identity : identity.withoutSequence }

    package static let typeOffset = 6
}

extension FrameError {
    /// Whether the fault was found behind a sound checksum: the frame's lengths and identity are then those that the
    /// sender wrote.
    package var isBehindChecksum: Bool {
        switch reason {
        case .truncatedHeader, .badMagic, .unsupportedVersion, .unknownType, .unknownFlag, .badHeaderLength,
            .frameTooLarge, .truncatedPayload, .checksumMismatch, .truncatedDatagram:
            false
        default: true
        }
    }
}

extension FrameIdentity {
    /// The session alone.
    package var withoutSequence: FrameIdentity { FrameIdentity(source: source, session: session) }
}
