// Who sends: the source keeps its id over restarts, the session is one start.

/// A source of records, by its name, and its present session.
public struct SourceIdentity: Sendable, Hashable {
    /// The source's name for people, for example `checkout-service`.
    public let name: String
    /// The name's stable id; never 0, which is anonymous.
    public let source: UInt64
    /// This start of the source.
    public let session: UInt64

    /// - Parameter session: random unless given.
    public init(name: String, session: UInt64 = .random(in: 1 ... .max)) {
        self.name = name
        self.session = session
        source = Self.hash(name)
    }

    /// The same source in a new session.
    func renewed() -> SourceIdentity { SourceIdentity(name: name) }

    /// The identity of a frame of this session.
    ///
    /// - Parameter sequence: counts the session's record frames from 1.
    public func frame(sequence: UInt64) -> FrameIdentity {
        FrameIdentity(source: source, session: session, sequence: sequence)
    }

    /// The id of a name. O(n).
    public static func hash(_ name: String) -> UInt64 { SourceID.hash(name) }
}
