// A client that keeps a frame until it is acknowledged or refused, and the oracle: what it was told is what must be true. It
// moves between the collectors with each connection.

import Delivery
import FrameCodec

struct SimulatedClient {
    let number: Int
    /// How many frames it has to send.
    let frameCount: UInt64
    /// Those of them that are malformed inside.
    let malformed: Set<UInt64>
    /// The highest sequence that was ever sent.
    private(set) var lastSent: UInt64 = 0
    /// What a collector said is durable.
    private(set) var acknowledged = SequenceRanges()
    /// What a collector did not take: the client has let go of it.
    private(set) var refused = SequenceRanges()
    /// Where it is connected.
    private(set) var connection: (collector: Int, number: UInt64)?
    /// What is sent next on this connection.
    private var cursor: UInt64 = 1

    init(number: Int, frameCount: UInt64, malformed: Set<UInt64>) {
        self.number = number
        self.frameCount = frameCount
        self.malformed = malformed
    }

    var key: SessionKey { SimulatedFrame.key(number) }

    var isDone: Bool {
        var settled = acknowledged
        settled.formUnion(refused)
        return settled.contains(1..<frameCount + 1)
    }

    func frame(_ sequence: UInt64) -> SimulatedFrame {
        SimulatedFrame(client: number, sequence: sequence, isMalformed: malformed.contains(sequence))
    }

    mutating func connected(to collector: Int, _ number: UInt64) {
        connection = (collector, number)
        cursor = 1
    }

    mutating func disconnected() { connection = nil }

    mutating func told(_ durable: SequenceRanges) { acknowledged.formUnion(durable) }

    mutating func refused(_ sequence: UInt64) { refused.insert(sequence) }

    /// The next frame to send, resent ones first.
    mutating func next() -> SimulatedFrame? {
        while cursor <= lastSent, acknowledged.contains(cursor) || refused.contains(cursor) { cursor += 1 }
        guard cursor <= frameCount else { return nil }
        defer { cursor += 1 }
        lastSent = max(lastSent, cursor)
        return frame(cursor)
    }

    /// Nothing came for what was sent: it is sent again.
    mutating func startOver() { cursor = 1 }
}
