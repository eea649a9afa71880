// A client that keeps a frame until it is acknowledged, and the oracle: what it was told is what must be true.

import Delivery
import FrameCodec

struct SimulatedClient {
    let number: Int
    /// How many frames it has to send.
    let frameCount: UInt64
    /// The highest sequence that was ever sent.
    private(set) var lastSent: UInt64 = 0
    /// What the collector said is durable.
    private(set) var acknowledged = SequenceRanges()
    private(set) var connection: UInt64?
    /// What is sent next on this connection.
    private var cursor: UInt64 = 1

    init(number: Int, frameCount: UInt64) {
        self.number = number
        self.frameCount = frameCount
    }

    var key: SessionKey { SimulatedFrame(client: number, sequence: 1, isDatagram: false).key }
    var isDone: Bool { acknowledged.contains(1..<frameCount + 1) }

    mutating func connected(_ connection: UInt64) {
        self.connection = connection
        cursor = 1
    }

    mutating func disconnected() { connection = nil }

    mutating func told(_ durable: SequenceRanges) { acknowledged.formUnion(durable) }

    /// The next frame to send, resent ones first.
    mutating func next() -> SimulatedFrame? {
        while cursor <= lastSent, acknowledged.contains(cursor) { cursor += 1 }
        guard cursor <= frameCount else { return nil }
        defer { cursor += 1 }
        lastSent = max(lastSent, cursor)
        return SimulatedFrame(client: number, sequence: cursor, isDatagram: false)
    }

    /// Nothing came for what was sent: it is sent again.
    mutating func startOver() { cursor = 1 }
}
