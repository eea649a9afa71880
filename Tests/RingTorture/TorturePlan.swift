/// What a run tries.
struct TorturePlan: Sendable {
    var producers = 8
    /// Per producer.
    var records = 100_000
    var seed: UInt64 = 1
    var capacityBytes = 1 << 16

    /// The longest record, in bytes: with it the largest batch is well below the maximum of the smallest ring.
    static let recordBytesMaximum = 100
    static let batchRecordsMaximum = 6

    /// Sets what the argument `name` stands for; false if there is no such argument.
    mutating func set(_ name: String, to number: Int) -> Bool {
        switch name {
        case "--producers": producers = number
        case "--records": records = number
        case "--seed": seed = UInt64(number)
        case "--capacity": capacityBytes = number
        default: return false
        }
        return true
    }

    var isSound: Bool {
        producers >= 1 && producers <= 256 && records >= 1
            && capacityBytes >= 1 << 12 && capacityBytes <= 1 << 30 && capacityBytes & (capacityBytes - 1) == 0
    }
}

/// What a run found.
struct TortureReport: CustomStringConvertible {
    var records = 0
    var bytes = 0
    var claims: UInt64 = 0
    var abandonedClaims: UInt64 = 0
    var waits = 0
    var lostWakes = 0
    var outOfOrder = 0
    var damaged = 0
    var missing = 0
    var bytesLeft = 0

    var isGood: Bool {
        outOfOrder == 0 && damaged == 0 && missing == 0 && bytesLeft == 0 && lostWakes == 0
    }

    var description: String {
        """
        \(records) records, \(bytes) bytes, \(claims) claims, \(abandonedClaims) abandoned, \(waits) waits
        out of order: \(outOfOrder), damaged: \(damaged), missing: \(missing), bytes left: \(bytesLeft), lost wake-ups: \(lostWakes)
        \(isGood ? "good" : "BROKEN")
        """
    }
}

/// xorshift64*: a record's bytes follow from its producer and number alone, so that the consumer can tell them.
struct Xorshift {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next(below bound: Int) -> Int {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return Int(truncatingIfNeeded: (state &* 0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}
