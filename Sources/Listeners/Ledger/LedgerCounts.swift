// The ledger's numbers as plain values: what a batch adds up, what a source has, what a snapshot shows.

import FrameCodec

/// One value for each counter. The length is a literal because the language asks for one; a test holds it against the enumeration.
typealias CounterArray<Value: ~Copyable> = InlineArray<27, Value>
/// One value for each reason of refusal, by code; codes begin at 1. A literal for the same cause.
typealias ReasonArray<Value: ~Copyable> = InlineArray<45, Value>

/// One number for each counter and one for each reason of refusal. 500 bytes without a reference.
public struct LedgerCounts: Sendable {
    private var counters = CounterArray<UInt64>(repeating: 0)
    private var refusals = ReasonArray<UInt64>(repeating: 0)

    static var countersMax: Int { CounterArray<UInt64>.count }
    static var reasonsMax: Int { ReasonArray<UInt64>.count }

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
