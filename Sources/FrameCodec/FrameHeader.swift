// The header of a frame: protocol/frame.md, "Header". Everything a receiver checks before it looks at a payload.

/// Who sent a frame, and which of its frames it is.
public struct FrameIdentity: Hashable, Sendable {
    /// Chosen once for a program and kept over its restarts; 0 is anonymous.
    public var source: UInt64
    /// One start of the source.
    public var session: UInt64
    /// Counts the session's record frames from 1; 0 when the frame is not counted.
    public var sequence: UInt64

    @inlinable
    public init(source: UInt64 = 0, session: UInt64 = 0, sequence: UInt64 = 0) {
        self.source = source
        self.session = session
        self.sequence = sequence
    }
}

/// What a frame carries.
public enum FrameType: UInt8, Sendable {
    case records = 0
    case heartbeat = 1
    case welcome = 16
    case acknowledgement = 17
    case refusal = 18
    case receipt = 19
}

/// The header of a frame, checked.
public struct FrameHeader: Equatable, Sendable {
    public let type: FrameType
    /// Bit 0: authenticated. The others as they came.
    public let flags: UInt8
    /// In bytes.
    public let headerLength: Int
    /// In bytes.
    public let payloadLength: Int
    public let identity: FrameIdentity
    /// Microseconds since the Unix epoch.
    public let baseTime: Int64
    public let recordCount: Int

    /// Header and payload, in bytes: at most `FrameLimits.frameBytesMax`.
    @inlinable public var frameLength: Int { headerLength + payloadLength }
    public var isAuthenticated: Bool { flags & Self.authenticatedFlag != 0 }

    /// Bytes of a header without authentication: as many are needed to read any header.
    public static let lengthMin = 52
    /// Bytes of a header with authentication.
    public static let authenticatedLengthMin = 72
    static let magic: UInt32 = 0x5957_5053
    static let version: UInt8 = 1
    static let authenticatedFlag: UInt8 = 1
    package static let criticalFlags: UInt8 = 0b1110
    private static let flagsOffset = 7
    package static let checksumOffset = 12
    private static let sourceOffset = 16
    private static let sessionOffset = 24
    package static let sequenceOffset = 32
    static let baseTimeOffset = 40
    package static let payloadLengthOffset = 8
    @usableFromInline package static let recordCountOffset = 48

    /// Reads the header at the start of `bytes`, which may end before the frame does: for cutting a stream.
    ///
    /// - Throws: reasons 1 to 7 of the protocol. O(1).
    public static func read(_ bytes: RawSpan) throws(FrameError) -> FrameHeader {
        let count = bytes.byteCount
        guard count >= lengthMin else { throw FrameError(.truncatedHeader, at: count) }
        func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: T.Type) -> T {
            // In bounds: every offset below lies before lengthMin.
            unsafe T(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: T.self))
        }
        guard load(0, UInt32.self) == magic else { throw FrameError(.badMagic, at: 0) }
        guard load(4, UInt8.self) == version else { throw FrameError(.unsupportedVersion, at: 4) }
        guard let type = FrameType(rawValue: load(6, UInt8.self)) else { throw FrameError(.unknownType, at: 6) }
        let flags = load(flagsOffset, UInt8.self)
        guard flags & criticalFlags == 0 else { throw FrameError(.unknownFlag, at: flagsOffset) }
        let headerLength = Int(load(5, UInt8.self))
        let needed = flags & authenticatedFlag == 0 ? lengthMin : authenticatedLengthMin
        guard headerLength >= needed else { throw FrameError(.badHeaderLength, at: 5) }
        let payloadLength = Int(load(8, UInt32.self))
        guard payloadLength <= FrameLimits.frameBytesMax - headerLength else { throw FrameError(.frameTooLarge, at: 8) }
        return FrameHeader(
            type: type, flags: flags, headerLength: headerLength, payloadLength: payloadLength,
            identity: FrameIdentity(
                source: load(sourceOffset, UInt64.self), session: load(sessionOffset, UInt64.self),
                sequence: load(sequenceOffset, UInt64.self)),
            baseTime: load(baseTimeOffset, Int64.self),
            // Clamped, so that a 32-bit count stays one: admission refuses anything over the limit.
            recordCount: Int(load(recordCountOffset, UInt32.self)))
    }

    /// Checks the frame at the start of `bytes`, whole: what must hold before it is taken. The payload is not looked into.
    ///
    /// - Throws: reasons 1 to 13 of the protocol. O(frame length), for the checksum.
    public static func admit(_ bytes: RawSpan) throws(FrameError) -> FrameHeader {
        let header = try read(bytes)
        let count = bytes.byteCount
        guard count >= header.headerLength else { throw FrameError(.truncatedHeader, at: count) }
        guard count >= header.frameLength else { throw FrameError(.truncatedPayload, at: count) }
        let intact = bytes.withUnsafeBytes { all in
            let frame = UnsafeRawBufferPointer(rebasing: all[..<header.frameLength])
            let stored = UInt32(littleEndian: frame.loadUnaligned(fromByteOffset: checksumOffset, as: UInt32.self))
            return Checksum.ofFrame(frame) == stored
        }
        guard intact else { throw FrameError(.checksumMismatch, at: checksumOffset) }
        guard FrameLimits.timeRange.contains(header.baseTime) else {
            throw FrameError(.timeOutOfRange, at: baseTimeOffset)
        }
        guard header.type == .records else {
            guard header.recordCount == 0 else { throw FrameError(.recordCountMismatch, at: recordCountOffset) }
            return header
        }
        guard header.recordCount <= FrameLimits.recordsPerFrameMax else {
            throw FrameError(.tooManyRecords, at: recordCountOffset)
        }
        guard header.recordCount > 0 else { throw FrameError(.emptyFrame, at: recordCountOffset) }
        return header
    }

    /// Writes a header of `lengthMin` bytes at the start of `frame`, which holds the payload already, and its checksum.
    static func write(
        _ type: FrameType, identity: FrameIdentity, baseTime: Int64, recordCount: Int,
        to frame: UnsafeMutableRawBufferPointer
    ) {
        precondition(frame.count >= lengthMin && frame.count <= FrameLimits.frameBytesMax)
        func store<T: FixedWidthInteger>(_ value: T, at offset: Int) {
            frame.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
        }
        store(magic, at: 0)
        store(version, at: 4)
        store(UInt8(lengthMin), at: 5)
        store(type.rawValue, at: 6)
        store(UInt8(0), at: flagsOffset)
        store(UInt32(frame.count - lengthMin), at: 8)
        store(UInt32(0), at: checksumOffset)
        store(identity.source, at: sourceOffset)
        store(identity.session, at: sessionOffset)
        store(identity.sequence, at: sequenceOffset)
        store(baseTime, at: baseTimeOffset)
        store(UInt32(recordCount), at: recordCountOffset)
        store(Checksum.ofFrame(UnsafeRawBufferPointer(frame)), at: checksumOffset)
    }
    /// Gives a whole frame another identity, and the checksum that goes with it. O(frame length).
    ///
    /// - Precondition: the frame is sound and not authenticated: a code would have to be made anew.
    package static func replaceIdentity(_ identity: FrameIdentity, in frame: UnsafeMutableRawBufferPointer) {
        precondition(frame.count >= lengthMin && frame[flagsOffset] & authenticatedFlag == 0)
        func store<T: FixedWidthInteger>(_ value: T, at offset: Int) {
            frame.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
        }
        store(identity.source, at: sourceOffset)
        store(identity.session, at: sessionOffset)
        store(identity.sequence, at: sequenceOffset)
        store(Checksum.ofFrame(UnsafeRawBufferPointer(frame)), at: checksumOffset)
    }
}
