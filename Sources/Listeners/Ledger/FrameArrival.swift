// What the ledger needs to know of a frame that passed admission, and where its bytes are.

import FrameCodec

/// A record frame that passed admission.
struct FrameArrival {
    let identity: FrameIdentity
    let recordCount: Int32
    let frameBytes: Int32
    /// Where the frame begins, in the buffer that its listener keeps.
    let offset: Int
    /// The index of that buffer.
    let buffer: Int32
    /// Whether it is the first frame of a datagram.
    let beginsDatagram: Bool
    /// Set by `SessionDesk.judge`: it is told so and goes no further.
    var isRefused = false
    /// Set by `ConservationLedger.receive`, over TCP by `SessionDesk.judge`.
    var verdict = SequenceVerdict.uncounted
    let peer: PeerAddress

    init(
        _ header: borrowing FrameHeader, at offset: Int, inBuffer buffer: Int, beginsDatagram: Bool, peer: PeerAddress
    ) {
        identity = header.identity
        recordCount = Int32(truncatingIfNeeded: header.recordCount)
        frameBytes = Int32(truncatingIfNeeded: header.frameLength)
        self.offset = offset
        self.buffer = Int32(truncatingIfNeeded: buffer)
        self.beginsDatagram = beginsDatagram
        self.peer = peer
    }

    /// Resent frames go no further than the ledger.
    var isAccepted: Bool { verdict != .duplicate }
}
