// Which numbers a source can have reached. One forged or damaged number must not spoil the counters for good.

/// How far a session's sequences can be from those that came before.
package struct SequenceReach: Sendable {
    /// No session reaches more frames than this: `framesPerMicrosecond` for 35 years.
    package static let sequenceMax: UInt64 = 1 << 53
    /// Frames that may be missing in a row however short the silence was: a second's loss at a high rate, and some room for
    /// a wall clock that is set back. It is also how far a session's first frame may be from its beginning.
    package static let burstFramesMax: UInt64 = 1 << 20
    /// More frames than one session can send.
    private static let framesPerMicrosecond: UInt64 = 8

    /// Every number is possible.
    package static let unlimited = SequenceReach(sequenceMax: .max, framesAhead: .max, framesBefore: .max)

    /// The largest sequence of all.
    let sequenceMax: UInt64
    /// How far a sequence may be after the highest one that came.
    let framesAhead: UInt64
    /// How far a sequence may be before the lowest one that came.
    let framesBefore: UInt64

    private init(sequenceMax: UInt64, framesAhead: UInt64, framesBefore: UInt64) {
        self.sequenceMax = sequenceMax
        self.framesAhead = framesAhead
        self.framesBefore = framesBefore
    }

    /// - Parameter silenceMicroseconds: since the session was heard of last.
    package init(silenceMicroseconds: Int64) {
        let silence = UInt64(clamping: silenceMicroseconds)
        let sent = min(silence, Self.sequenceMax / Self.framesPerMicrosecond) &* Self.framesPerMicrosecond
        self.init(
            sequenceMax: Self.sequenceMax, framesAhead: Self.burstFramesMax &+ sent,
            framesBefore: Self.burstFramesMax)
    }

    /// Whether a session can be at `number` when it was at `highest` before.
    func includes(_ number: UInt64, after highest: UInt64) -> Bool {
        number <= sequenceMax && (number <= highest || number &- highest <= framesAhead)
    }
}
