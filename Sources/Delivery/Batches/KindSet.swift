// A set of record kinds in one word: it is kept for each spilled batch and compared for each block of a frame.

import MetricKinds

/// Some of the record kinds.
public struct KindSet: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    @inlinable
    public init(_ kind: MetricKind) { rawValue = 1 << UInt16(kind.rawValue) }

    public init(_ kinds: some Sequence<MetricKind>) { self = kinds.reduce(into: []) { $0.insert(KindSet($1)) } }

    /// Every kind that this program knows.
    public static let all = KindSet(MetricKind.allCases)

    @inlinable
    public func contains(_ kind: MetricKind) -> Bool { rawValue & 1 << UInt16(kind.rawValue) != 0 }

    /// In the order of their ids. O(kinds).
    public var kinds: [MetricKind] { MetricKind.allCases.filter { contains($0) } }
}
