// Which frames of one session have been seen: recognises resent ones and counts missing ones.
//
// Limits: the last `widthFrames` sequences are remembered one by one, older ones as a count of holes.
// Invariants: `distinctFrames <= highest - lowest + 1`, a bit is set only for a sequence in `lowest...highest`, and
// `lateFrames` is at most the number of holes behind the window, which never falls: so `missingFrames` never wraps, and
// a frame that is new is never called resent.

/// Whether a frame was seen before. Each frame is judged once: over TCP by the session registry, which remembers more than a
/// window does, else by the session's window.
package enum SequenceVerdict: UInt8, Sendable {
    /// Not yet: the window judges it.
    case unjudged
    /// Seen for the first time.
    case fresh
    /// Seen before, for certain: a resent frame.
    case duplicate
    /// So late that it may be either. It is taken: to store a frame twice is better than to lose one.
    case behindWindow
    /// Sequence 0, the sender does not count; or a sequence that the session cannot have reached. The frame is taken, and the
    /// window does not move.
    case uncounted

    /// Whether the accounting may count it as something beside a frame.
    var isUnusual: Bool { rawValue >= Self.behindWindow.rawValue }
}

/// The window over one session's sequences. A plain value: no clock, no allocation.
package struct SequenceWindow: Sendable {
    /// How far a frame may come out of order and still be told from a resent one.
    package static let widthFrames = 1_024
    private static let wordBits = 64
    private static let positionMask = UInt64(widthFrames - 1)

    /// Bit `sequence % widthFrames`, for the sequences from `highest - widthFrames + 1` on.
    private var bits = InlineArray<16, UInt64>(repeating: 0)
    /// The lowest and the highest sequence seen; both 0 before the first.
    package private(set) var lowest: UInt64 = 0
    package private(set) var highest: UInt64 = 0
    /// Different sequences seen, those that may be resent left out.
    private var distinctFrames: UInt64 = 0
    /// Frames behind the window that were taken to fill a hole there.
    private var lateFrames: UInt64 = 0

    package init() {}

    /// Sequences between the lowest and the highest seen that did not come. A late arrival takes one away.
    ///
    /// Exact as long as no frame is both resent and behind the window. O(1).
    package var missingFrames: UInt64 {
        holes &- lateFrames
    }

    /// The same without the late arrivals that may be resent.
    private var holes: UInt64 {
        highest == 0 ? 0 : (highest &- lowest) &- (distinctFrames &- 1)
    }

    /// Notes a frame. O(1); O(`widthFrames` / 64) for one that skips sequences or is behind the window.
    ///
    /// - Parameter reach: the sequences that are possible. It is made only for one that is far from those before it.
    package mutating func observe(
        _ sequence: UInt64, within reach: @autoclosure () -> SequenceReach = .unlimited
    ) -> SequenceVerdict {
        guard sequence != 0 else { return .uncounted }
        guard highest != 0 else {
            guard sequence <= reach().sequenceMax else { return .uncounted }
            lowest = sequence
            highest = sequence
            distinctFrames = 1
            setBit(sequence)
            return .fresh
        }
        if sequence > highest {
            if sequence &- highest < UInt64(Self.widthFrames) {
                clearBits(after: highest, upTo: sequence)
            } else {
                guard reach().includes(sequence, after: highest) else { return .uncounted }
                bits = InlineArray(repeating: 0)
            }
            highest = sequence
            distinctFrames &+= 1
            setBit(sequence)
            return .fresh
        }
        guard highest &- sequence < UInt64(Self.widthFrames) else { return observeBehindWindow(sequence, reach()) }
        guard !hasBit(sequence) else { return .duplicate }
        setBit(sequence)
        distinctFrames &+= 1
        lowest = min(lowest, sequence)
        return .fresh
    }

    /// Begins anew with two sequences that are less than a width apart: the session goes on there.
    mutating func restart(with first: UInt64, and second: UInt64) {
        self = SequenceWindow()
        _ = observe(first)
        _ = observe(second)
    }

    private mutating func observeBehindWindow(_ sequence: UInt64, _ reach: SequenceReach) -> SequenceVerdict {
        guard sequence > lowest else {
            guard sequence < lowest else { return .duplicate }
            guard lowest &- sequence <= reach.framesBefore else { return .uncounted }
            lowest = sequence
            distinctFrames &+= 1
            return .behindWindow
        }
        let holesBehind = holes &- holesInWindow
        // No hole was left behind the window, so this sequence was seen.
        guard holesBehind > 0 else { return .duplicate }
        if lateFrames < holesBehind { lateFrames &+= 1 }
        return .behindWindow
    }

    /// Holes among the remembered sequences.
    private var holesInWindow: UInt64 {
        let span = min(highest &- lowest, UInt64(Self.widthFrames - 1)) &+ 1
        var seen: UInt64 = 0
        for index in bits.indices {
            seen &+= UInt64(bits[index].nonzeroBitCount)
        }
        return span &- seen
    }

    /// Forgets what the places of these sequences held a width ago: less than `widthFrames` of them.
    private mutating func clearBits(after first: UInt64, upTo last: UInt64) {
        var remaining = Int(truncatingIfNeeded: last &- first)
        var position = Int(truncatingIfNeeded: (first &+ 1) & Self.positionMask)
        while remaining > 0 {
            let bit = position % Self.wordBits
            let count = min(remaining, Self.wordBits - bit)
            let ones = count == Self.wordBits ? UInt64.max : (1 << UInt64(count)) - 1
            bits[position / Self.wordBits] &= ~(ones << UInt64(bit))
            position = (position + count) % Self.widthFrames
            remaining -= count
        }
    }

    private func hasBit(_ sequence: UInt64) -> Bool {
        let position = Int(truncatingIfNeeded: sequence & Self.positionMask)
        return bits[position / Self.wordBits] & (1 << UInt64(position % Self.wordBits)) != 0
    }

    private mutating func setBit(_ sequence: UInt64) {
        let position = Int(truncatingIfNeeded: sequence & Self.positionMask)
        bits[position / Self.wordBits] |= 1 << UInt64(position % Self.wordBits)
    }
}
