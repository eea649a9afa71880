/// What is published at a unit: the lap, what kind of claim starts there, and its length.
///
/// | bits | content |
/// |---|---|
/// | 0 ..< 28 | the length in bytes, less one; 0 for none |
/// | 28 | whether the length is none |
/// | 29 ..< 31 | the kind |
/// | 31 ..< 64 | the lap plus one: memory that was never written, all zero, is no lap's word |
///
/// Less one, so that where the next claim starts, at a multiple of 64, is one mask and one sum away: the consumer's way
/// through single records is a chain of such loads.
///
/// A lap number comes round again after 2^33 laps, and only a unit that no claim started at in all of them could then
/// be taken for published.
@usableFromInline
struct CommitWord: Equatable, BitwiseCopyable {
    @usableFromInline
    enum Kind: UInt64 {
        /// One record, without anything about it; the length is the record's.
        case record = 0
        /// A batch as `ClaimLayout` has it. From here on the length is the whole extent.
        case batch = 1
        /// The rest of a lap that a claim did not fit in.
        case padding = 2
        /// A claim that was dropped: its bytes mean nothing.
        case abandoned = 3
    }

    @usableFromInline static let lengthMask: UInt64 = 1 << 28 - 1
    @usableFromInline static let emptyShift: UInt64 = 28
    @usableFromInline static let kindShift: UInt64 = 29
    @usableFromInline static let lapShift: UInt64 = 31

    @usableFromInline let bits: UInt64

    @inlinable
    init(bits: UInt64) {
        self.bits = bits
    }

    @inlinable
    init(kind: Kind, lengthBytes: Int, lap: UInt64) {
        // A claim is a quarter of 2^30 bytes at most, and padding is shorter than a claim.
        assert(lengthBytes >= 0 && lengthBytes <= 1 << 28, "a length does not fit in its word")
        let length =
            lengthBytes > 0 ? UInt64(truncatingIfNeeded: lengthBytes &- 1) : 1 << Self.emptyShift
        bits = (lap &+ 1) << Self.lapShift | kind.rawValue << Self.kindShift | length
    }

    /// Whether this was published in `lap`. A word of an earlier lap says nothing about this one.
    @inlinable
    func belongs(toLap lap: UInt64) -> Bool {
        bits >> Self.lapShift == (lap &+ 1) & (UInt64.max >> Self.lapShift)
    }

    @inlinable
    var kind: Kind {
        switch bits >> Self.kindShift & 3 {
        case 0: .record
        case 1: .batch
        case 2: .padding
        default: .abandoned
        }
    }

    @inlinable
    var lengthBytes: Int {
        Int(truncatingIfNeeded: bits & Self.lengthMask &+ 1 &- bits >> Self.emptyShift & 1)
    }

    /// The bytes from the claim's first unit to the next claim's: an empty record takes a unit too.
    @inlinable
    var extentBytes: UInt64 {
        let unit = UInt64(truncatingIfNeeded: FrameRing.unitBytes)
        return bits & (Self.lengthMask & ~(unit &- 1)) &+ unit
    }
}
