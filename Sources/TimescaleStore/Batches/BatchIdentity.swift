// What a batch is called in the ledger: the same for every attempt to store it, so that it is stored once.

/// A batch's key in `spillway.batches`.
public struct BatchIdentity: Hashable, Sendable, CustomStringConvertible {
    /// Random for each start of a collector; never negative, since it is a BIGINT.
    public let epoch: Int64
    /// Counts the batches of the epoch from 1.
    public let sequence: Int64

    public init(epoch: Int64, sequence: Int64) {
        self.epoch = epoch
        self.sequence = sequence
    }

    public var description: String { "\(epoch)/\(sequence)" }
}
