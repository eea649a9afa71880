// What a listener says of a frame when it puts it into the ring. The bit goes with the frame from here on: into the batch, the
// spill's header and the ledger.

/// The tags of claims in the ring.
package enum FrameTag {
    /// Came as a datagram: it is acknowledged to no client, whatever number it has.
    package static let datagram: UInt64 = 0
    /// Came over a connection: if it is numbered, its client waits until it is durable.
    package static let acknowledged: UInt64 = 1

    /// Whether the client of a numbered frame waits for an acknowledgement.
    package static func isAcknowledged(_ tag: UInt64) -> Bool { tag == acknowledged }
}
