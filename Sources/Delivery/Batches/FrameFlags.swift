// One bit for each frame of a batch: whether its client waits for an acknowledgement.
//
// The bit belongs to the frame and not to its identity: a datagram may carry any source, session and sequence, also those of a
// frame that came over TCP in the same batch.

/// The acknowledged frames of a batch, by their places in it. A bit for each frame.
public struct FrameFlags: Equatable, Sendable {
    private static let wordBits = 64

    private var words: [UInt64] = []
    /// Frames that were added.
    public private(set) var count = 0

    public init() {}

    /// Flags as the spill keeps them: bit `place % 8` of byte `place / 8`.
    ///
    /// - Returns: nil if the bytes are not those of `count` frames, or a bit past the last frame is set.
    package init?(bytes: some Collection<UInt8>, count: Int) {
        guard bytes.count == Self.byteCount(frames: count) else { return nil }
        words = Array(repeating: 0, count: (count + Self.wordBits - 1) / Self.wordBits)
        self.count = count
        for (index, byte) in bytes.enumerated() { words[index / 8] |= UInt64(byte) << UInt64(index % 8 * 8) }
        let used = count % Self.wordBits
        if used > 0, let last = words.last, last >> UInt64(used) != 0 { return nil }
    }

    /// Bytes of `bytes` for a number of frames.
    package static func byteCount(frames: Int) -> Int { (frames + 7) / 8 }

    /// The form that the spill keeps.
    package var bytes: [UInt8] {
        (0..<Self.byteCount(frames: count)).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> UInt64($0 % 8 * 8)) }
    }

    /// Adds the flag of the next frame. Amortised O(1).
    public mutating func append(_ isAcknowledged: Bool) {
        if count % Self.wordBits == 0 { words.append(0) }
        if isAcknowledged { words[count / Self.wordBits] |= 1 << UInt64(count % Self.wordBits) }
        count += 1
    }

    public mutating func removeAll() {
        words.removeAll(keepingCapacity: true)
        count = 0
    }

    /// The flag of the frame at a place below `count`. O(1).
    public subscript(place: Int) -> Bool {
        precondition(place < count, "the batch has \(count) frames, and this is the frame at \(place)")
        return words[place / Self.wordBits] & 1 << UInt64(place % Self.wordBits) != 0
    }
}
