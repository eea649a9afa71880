// The items before the records of a block: protocol/frame.md, "Block".

import MetricKinds

/// The head of a block, checked against what the frame has left.
@usableFromInline
struct BlockHeader {
    @usableFromInline let kindID: UInt8
    /// Nil for a kind that this program does not know.
    @usableFromInline let kind: MetricKind?
    @usableFromInline let version: UInt8
    @usableFromInline let presenceBits: UInt8
    @usableFromInline let recordCount: Int
    /// The offset behind the block's last record.
    @usableFromInline let end: Int

    @usableFromInline
    init(_ wire: inout WireReader, after lastKind: UInt8, recordsLeft: Int) throws(FrameError) {
        let kindStart = wire.position
        kindID = try wire.byte()
        guard kindID > lastKind else { throw FrameError(.blockOrder, at: kindStart) }
        kind = MetricKind(rawValue: kindID)

        let versionStart = wire.position
        version = try wire.byte()
        guard version > 0 else { throw FrameError(.badBlockVersion, at: versionStart) }

        let bitsStart = wire.position
        presenceBits = try wire.byte()
        let bitsFit: Bool
        if presenceBits > FrameLimits.presenceBitsMax {
            bitsFit = false
        } else if let kind {
            if let exact = kind.presenceBits(version: version) {
                bitsFit = presenceBits == exact
            } else {
                bitsFit = presenceBits >= kind.presenceBits
            }
        } else {
            bitsFit = presenceBits >= 2
        }
        guard bitsFit else { throw FrameError(.badBitCount, at: bitsStart) }

        let countStart = wire.position
        let count = try wire.varint()
        guard count > 0 else { throw FrameError(.emptyBlock, at: countStart) }
        guard count <= UInt64(recordsLeft) else {
            throw FrameError(.recordCountMismatch, at: FrameHeader.recordCountOffset)
        }
        recordCount = Int(count)

        let length = try wire.varint()
        guard length <= UInt64(wire.end - wire.position) else { throw FrameError(.truncated, at: wire.position) }
        end = wire.position + Int(length)
    }
}
