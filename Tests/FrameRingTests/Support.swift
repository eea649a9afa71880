import FrameRing

/// SplitMix64: the same numbers for the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// A record as the consumer got it.
struct Taken: Equatable {
    var bytes: [UInt8]
    var tag: UInt64
}

extension FrameRing.Consumer {
    /// Takes up to `maximumRecords`, copied, and checks the invariants afterwards.
    mutating func take(maximumRecords: Int = .max, from ring: FrameRing) -> [Taken] {
        var taken: [Taken] = []
        let count = consume(maximumRecords: maximumRecords) { record, tag in
            taken.append(Taken(bytes: record.withUnsafeBytes { Array($0) }, tag: tag))
            return true
        }
        precondition(count == taken.count)
        ring.checkInvariants()
        return taken
    }
}

extension FrameRing {
    /// Appends an array; nil for success.
    func refusal(of bytes: [UInt8], tag: UInt64 = 0) -> ClaimFailure? {
        do throws(ClaimFailure) {
            try append(bytes.span.bytes, tag: tag)
            return nil
        } catch {
            return error
        }
    }
}

func bytes(_ count: Int, of value: UInt8 = 7) -> [UInt8] { Array(repeating: value, count: count) }
