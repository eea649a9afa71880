// The counters as plain values: what a batch adds up, what a source has, what a snapshot shows.

import FrameCodec

/// One value for each counter, by its id, with room for some more: the language asks for a literal.
typealias CounterArray<Value: ~Copyable> = InlineArray<32, Value>
/// One value for each reason of refusal, by code; codes begin at 1. With room, for the same cause.
typealias ReasonArray<Value: ~Copyable> = InlineArray<48, Value>

/// One number for each counter and one for each reason of refusal. 640 bytes without a reference.
package struct Counts: Sendable {
    private var counters = CounterArray<UInt64>(repeating: 0)
    private var refusals = ReasonArray<UInt64>(repeating: 0)

    static var countersMax: Int { CounterArray<UInt64>.count }
    static var reasonsMax: Int { ReasonArray<UInt64>.count }

    package init() {}

    package subscript(counter: Counter) -> UInt64 {
        get { counters[counter.id] }
        set { counters[counter.id] = newValue }
    }

    /// `frames_refused` for this reason.
    package subscript(refused reason: FrameError.Reason) -> UInt64 {
        get { refusals[Int(reason.rawValue)] }
        set { refusals[Int(reason.rawValue)] = newValue }
    }

    /// `frames_refused` for all reasons together.
    package var framesRefused: UInt64 {
        FrameError.Reason.allCases.reduce(0) { $0 &+ self[refused: $1] }
    }

    /// Wraps: 2^64 is out of reach for anything that is counted one by one.
    package mutating func add(_ amount: Int, to counter: Counter) {
        self[counter] &+= UInt64(truncatingIfNeeded: amount)
    }
}

extension Counts: Equatable {
    package static func == (left: Counts, right: Counts) -> Bool {
        Counter.allCases.allSatisfy { left[$0] == right[$0] }
            && FrameError.Reason.allCases.allSatisfy { left[refused: $0] == right[refused: $0] }
    }
}
