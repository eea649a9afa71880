// What a segment is called: names come from the epoch and a counter, never from the network, and are never used twice.

import FrameCodec
import Text

/// The name of a segment: `spill-<epoch>-<sequence>.lz4`, both in hexadecimal.
public struct SegmentName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Random for each start of a collector.
    public let epoch: UInt64
    /// Counts the segments of the epoch from 1.
    public let sequence: UInt32

    public init(epoch: UInt64, sequence: UInt32) {
        self.epoch = epoch
        self.sequence = sequence
    }

    private static let prefix = "spill-"
    private static let suffix = ".lz4"
    private static let epochDigits = 16
    private static let sequenceDigits = 8

    /// Nil for anything that is not exactly such a name.
    public init?(_ text: String) {
        guard text.hasPrefix(Self.prefix), text.hasSuffix(Self.suffix) else { return nil }
        let middle = text.dropFirst(Self.prefix.count).dropLast(Self.suffix.count)
        guard middle.utf8.count == Self.epochDigits + 1 + Self.sequenceDigits,
            let epoch = UInt64(middle.prefix(Self.epochDigits), radix: 16),
            let sequence = UInt32(middle.suffix(Self.sequenceDigits), radix: 16), sequence > 0
        else { return nil }
        self.init(epoch: epoch, sequence: sequence)
        // Upper-case digits or a sign are another name.
        guard self.text == text else { return nil }
    }

    public var text: String {
        "\(Self.prefix)\(hexadecimal(epoch, digits: Self.epochDigits))-"
            + "\(hexadecimal(UInt64(sequence), digits: Self.sequenceDigits))\(Self.suffix)"
    }

    public var description: String { text }

    public static func < (left: Self, right: Self) -> Bool {
        (left.epoch, left.sequence) < (right.epoch, right.sequence)
    }
}
