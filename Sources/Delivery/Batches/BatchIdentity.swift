// What a batch is called, from its closing on: in the ledger, in the spill, in the log.

/// A batch's key: the same for every attempt to store it, so that it is stored once.
public struct BatchIdentity: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Random for each start of a collector; never negative, since it is a BIGINT in the ledger.
    public let epoch: Int64
    /// Counts the batches of the epoch from 1.
    public let sequence: Int64

    public init(epoch: Int64, sequence: Int64) {
        self.epoch = epoch
        self.sequence = sequence
    }

    public var description: String { "\(epoch)/\(sequence)" }

    public static func < (left: Self, right: Self) -> Bool {
        (left.epoch, left.sequence) < (right.epoch, right.sequence)
    }
}
