// A session by its source and number, and frames of one by their sequences.

/// A client's session, the unit in which frames are numbered.
public struct SessionKey: Hashable, Comparable, Sendable {
    public let source: UInt64
    public let session: UInt64

    public init(source: UInt64, session: UInt64) {
        self.source = source
        self.session = session
    }

    public init(_ identity: FrameIdentity) { self.init(source: identity.source, session: identity.session) }

    public static func < (left: Self, right: Self) -> Bool {
        (left.source, left.session) < (right.source, right.session)
    }
}

/// The numbered frames of one session in a batch.
public struct SessionFrames: Equatable, Sendable {
    public let key: SessionKey
    public var sequences: SequenceRanges

    public init(key: SessionKey, sequences: SequenceRanges) {
        self.key = key
        self.sequences = sequences
    }
}
