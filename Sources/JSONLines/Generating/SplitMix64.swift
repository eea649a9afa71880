// The generator's source of numbers. Its sequence is part of what a seed means: it must never change.

/// SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// The numbers of one record: they depend on the seed and the record's index alone, so that a record can be made
    /// again.
    init(seed: UInt64, index: UInt64) {
        state = seed &+ 0x9E37_79B9_7F4A_7C15 &* (index &+ 1)
        // The states of neighbours are one step apart: a mixed start keeps their sequences from overlapping.
        state = next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// 0 to `limit - 1`, evenly but for a bias below 2^-32. Written here because the standard library may change its
    /// own.
    mutating func below(_ limit: Int) -> Int {
        precondition(limit > 0)
        return Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(limit)).high)
    }

    /// An integer of the range, both ends included.
    mutating func int32(_ range: ClosedRange<Int>) -> Int32 {
        Int32(truncatingIfNeeded: range.lowerBound + below(range.upperBound - range.lowerBound + 1))
    }

    /// A number of the range with so many steps to one, for example 10,000 for four decimals.
    mutating func float(_ range: ClosedRange<Int>, steps: Int = 10_000) -> Float {
        Float(range.lowerBound * steps + below((range.upperBound - range.lowerBound) * steps + 1)) / Float(steps)
    }

    /// True once in `n` times.
    mutating func oneIn(_ n: Int) -> Bool { below(n) == 0 }
}
