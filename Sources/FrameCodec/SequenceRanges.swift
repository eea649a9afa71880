// Sequences of one session as ascending ranges that do not touch: what is durable, in as few bytes as it takes.

/// A set of sequences. Invariant: ranges ascend, are not empty, and do not touch.
public struct SequenceRanges: Equatable, Sendable {
    public private(set) var ranges: [Range<UInt64>]

    public init() { ranges = [] }

    /// - Precondition: the ranges ascend without touching, are not empty and at most `FrameLimits.rangesMax`.
    public init(_ ranges: [Range<UInt64>]) {
        precondition(ranges.count <= FrameLimits.rangesMax && ranges.allSatisfy { !$0.isEmpty })
        precondition(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
        self.ranges = ranges
    }

    /// Whether the sequence is in one of the ranges. O(log n).
    public func contains(_ sequence: UInt64) -> Bool {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= sequence { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(sequence)
    }

    init(_ wire: inout WireReader) throws(FrameError) {
        let count = try wire.count(limit: FrameLimits.rangesMax, .badRanges)
        ranges = []
        var end: UInt64 = 0
        for index in 0..<count {
            let gapStart = wire.position
            let gap = try wire.varint()
            let (first, gapOverflow) = end.addingReportingOverflow(gap)
            guard !gapOverflow, index == 0 || gap > 0 else { throw FrameError(.badRanges, at: gapStart) }
            let lengthStart = wire.position
            let length = try wire.varint()
            let (next, overflow) = first.addingReportingOverflow(length)
            guard !overflow, length > 0 else { throw FrameError(.badRanges, at: lengthStart) }
            ranges.append(first..<next)
            end = next
        }
    }
}
