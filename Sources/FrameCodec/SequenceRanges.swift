// Sequences of one session as ascending ranges that do not touch: what came, and what is durable, in as little as it takes.
//
// Limits: a frame carries `FrameLimits.rangesMax` of them; who collects ranges bounds their number himself.

/// A set of sequences. Invariant: ranges ascend, are not empty, and do not touch.
public struct SequenceRanges: Equatable, Sendable {
    public private(set) var ranges: [Range<UInt64>]

    public init() { ranges = [] }

    /// - Precondition: the ranges ascend without touching and are not empty.
    public init(_ ranges: [Range<UInt64>]) {
        precondition(ranges.allSatisfy { !$0.isEmpty })
        precondition(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
        self.ranges = ranges
    }

    public var isEmpty: Bool { ranges.isEmpty }

    /// How many sequences are in the set. O(ranges).
    public var count: UInt64 { ranges.reduce(0) { $0 &+ ($1.upperBound - $1.lowerBound) } }

    /// Whether the sequence is in one of the ranges. O(log n).
    public func contains(_ sequence: UInt64) -> Bool {
        let index = firstIndex(endingAfter: sequence)
        return index < ranges.count && ranges[index].contains(sequence)
    }

    /// Whether all of the range is in the set. O(log n).
    public func contains(_ range: Range<UInt64>) -> Bool {
        guard !range.isEmpty else { return true }
        let index = firstIndex(endingAfter: range.lowerBound)
        return index < ranges.count && ranges[index].lowerBound <= range.lowerBound
            && ranges[index].upperBound >= range.upperBound
    }

    /// Whether the sets share a sequence. O(n log m).
    public func intersects(_ other: SequenceRanges) -> Bool {
        other.ranges.contains { range in
            let index = firstIndex(endingAfter: range.lowerBound)
            return index < ranges.count && ranges[index].lowerBound < range.upperBound
        }
    }

    /// Adds a range. O(1) behind the last one, where sequences come in order; else O(n).
    public mutating func insert(_ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        guard let last = ranges.last else { return ranges.append(range) }
        if range.lowerBound > last.upperBound { return ranges.append(range) }
        if range.lowerBound >= last.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            return
        }
        // The first range that touches or follows, and the first that lies wholly behind.
        var first = firstIndex(endingAfter: range.lowerBound)
        if first > 0, ranges[first - 1].upperBound == range.lowerBound { first -= 1 }
        var end = first
        var merged = range
        while end < ranges.count, ranges[end].lowerBound <= range.upperBound {
            merged = min(merged.lowerBound, ranges[end].lowerBound)..<max(merged.upperBound, ranges[end].upperBound)
            end += 1
        }
        ranges.replaceSubrange(first..<end, with: CollectionOfOne(merged))
    }

    /// The largest number there is cannot be in a set: a range ends behind its last sequence.
    public mutating func insert(_ sequence: UInt64) { if sequence < .max { insert(sequence..<sequence + 1) } }

    /// Adds all of another set.
    public mutating func formUnion(_ other: SequenceRanges) {
        for range in other.ranges { insert(range) }
    }

    /// Takes a range out. O(n).
    public mutating func remove(_ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        let first = firstIndex(endingAfter: range.lowerBound)
        var end = first
        var rest: [Range<UInt64>] = []
        while end < ranges.count, ranges[end].lowerBound < range.upperBound {
            if ranges[end].lowerBound < range.lowerBound { rest.append(ranges[end].lowerBound..<range.lowerBound) }
            if ranges[end].upperBound > range.upperBound { rest.append(range.upperBound..<ranges[end].upperBound) }
            end += 1
        }
        ranges.replaceSubrange(first..<end, with: rest)
    }

    public mutating func remove(_ sequence: UInt64) { if sequence < .max { remove(sequence..<sequence + 1) } }

    public mutating func subtract(_ other: SequenceRanges) {
        for range in other.ranges { remove(range) }
    }

    /// Takes the first `count` ranges out and gives them.
    public mutating func takeFirst(_ count: Int) -> SequenceRanges {
        var taken = SequenceRanges()
        taken.ranges = Array(ranges.prefix(count))
        ranges.removeFirst(min(count, ranges.count))
        return taken
    }

    /// Keeps the highest `count` ranges.
    public mutating func keepLast(_ count: Int) { ranges.removeFirst(max(0, ranges.count - count)) }

    /// The first range whose end lies behind the sequence. O(log n).
    private func firstIndex(endingAfter sequence: UInt64) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= sequence { low = middle + 1 } else { high = middle }
        }
        return low
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
