// What the accounting needs to know of a frame that passed admission, and where its bytes are.

import FrameCodec
import LinuxSystem

/// A record frame that passed admission.
package struct FrameArrival {
    package let identity: FrameIdentity
    package let recordCount: Int32
    package let frameBytes: Int32
    /// Where the frame begins, in the buffer that its listener keeps.
    package let offset: Int
    /// The index of that buffer.
    package let buffer: Int32
    /// Whether it is the first frame of a datagram.
    package let beginsDatagram: Bool
    /// Set by `SessionRegistry.judge`: its client gets a refusal, and it goes no further.
    package var isRefused = false
    /// Set by `Accounting.receive` where the session registry has not judged the frame.
    package var verdict = SequenceVerdict.unjudged
    package let peer: PeerAddress

    package init(
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

    /// Resent frames go no further than the accounting.
    package var isAccepted: Bool { verdict != .duplicate }
}
