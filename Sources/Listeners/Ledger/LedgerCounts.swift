// The ledger's numbers as plain values: what a batch adds up, what a source has, what a snapshot shows.

import FrameCodec

/// One number for each counter and one for each reason of refusal. 500 bytes without a reference.
public struct LedgerCounts: Sendable {
    /// The array's lengths are literals because the language asks for them; a test holds them against the enumerations.
    static let countersMax = 25
    static let reasonsMax = 45

    private var counters = InlineArray<25, UInt64>(repeating: 0)
    /// By code; codes begin at 1.
    private var refusals = InlineArray<45, UInt64>(repeating: 0)

    public init() {}

    public subscript(counter: LedgerCounter) -> UInt64 {
        get { counters[counter.rawValue] }
        set { counters[counter.rawValue] = newValue }
    }

    /// `frames_refused` for this reason.
    public subscript(refused reason: FrameError.Reason) -> UInt64 {
        get { refusals[Int(reason.rawValue)] }
        set { refusals[Int(reason.rawValue)] = newValue }
    }

    /// `frames_refused` for all reasons together.
    public var framesRefused: UInt64 {
        FrameError.Reason.allCases.reduce(0) { $0 &+ self[refused: $1] }
    }

    /// Wraps: 2^64 is out of reach for anything that is counted one by one.
    mutating func add(_ amount: Int, to counter: LedgerCounter) {
        self[counter] &+= UInt64(truncatingIfNeeded: amount)
    }
}

extension LedgerCounts: Equatable {
    public static func == (left: LedgerCounts, right: LedgerCounts) -> Bool {
        LedgerCounter.allCases.allSatisfy { left[$0] == right[$0] }
            && FrameError.Reason.allCases.allSatisfy { left[refused: $0] == right[refused: $0] }
    }
}
