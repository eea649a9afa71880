// Cuts a byte stream into frames, however it was split on its way. Decides only: no socket, no clock, no accounting.
//
// Limits: one frame that is not whole yet (`FrameLimits.frameBytesMax`) beside the chunk that was read.
// Invariant: every step but the last of a chunk moves forward by a frame.

import Accounting
import Admission
import FrameCodec
import NIOCore

/// The bytes of a stream that are not handed over yet.
struct FrameCutter {
    /// In which buffer a frame is whole: `FrameArrival.buffer`.
    enum Place: Int {
        /// The frame was split over chunks and put together.
        case carry = 0
        /// The frame came whole in a chunk.
        case chunk = 1
    }

    /// A carry that has grown beyond this is not kept for the next split frame.
    private static let carryBytesKept = 128 << 10

    private(set) var carry = ByteBuffer()
    private(set) var chunk = ByteBuffer()
    /// How much of the chunk is cut.
    private var cutBytes = 0
    /// Whether the carry is the beginning of a frame, and not a frame that was put together from this chunk.
    private var isCarryPartial = false
    /// Counts the frames that were split over chunks.
    private(set) var splitFrames: UInt64 = 0

    /// Bytes of a frame that is not whole yet. Valid after `finishChunk`.
    var partialBytes: Int { carry.readableBytes }

    /// Cuts a chunk. `body` gets what stands in it, in order, with its place and offset; never `.incomplete`.
    ///
    /// The frames' bytes stay until `finishChunk`, which must come before the next chunk.
    mutating func cut(_ next: ByteBuffer, _ body: (FrameCut, RawSpan, Place, Int) -> Void) {
        precondition(chunk.readableBytes == 0 && cutBytes == 0, "a chunk is finished before the next one is cut")
        chunk = next
        guard carry.readableBytes == 0 || completeCarry(body) else { return }
        cutBytes = Self.cutWholeFrames(of: chunk.readableBytesSpan, from: cutBytes, body)
    }

    /// - Returns: where the last whole frame ends.
    private static func cutWholeFrames(
        of bytes: RawSpan, from start: Int, _ body: (FrameCut, RawSpan, Place, Int) -> Void
    ) -> Int {
        var offset = start
        while offset < bytes.byteCount {
            let rest = bytes.extracting(offset..<bytes.byteCount)
            let cut = FrameCut(at: rest)
            guard let frameBytes = cut.frameBytes else {
                if case .broken = cut { body(cut, rest, .chunk, offset) }
                break
            }
            body(cut, rest.extracting(0..<frameBytes), .chunk, offset)
            offset += frameBytes
        }
        return offset
    }

    /// Fills the carry from the chunk, to the end of its frame and not a byte further.
    ///
    /// - Returns: whether the frame is whole and the stream goes on behind it.
    private mutating func completeCarry(_ body: (FrameCut, RawSpan, Place, Int) -> Void) -> Bool {
        while true {
            let cut = FrameCut(at: carry.readableBytesSpan)
            guard case .incomplete(let neededBytes) = cut else {
                isCarryPartial = false
                body(cut, carry.readableBytesSpan, .carry, 0)
                return cut.frameBytes != nil
            }
            let available = chunk.readableBytes - cutBytes
            let moved = min(neededBytes - carry.readableBytes, available)
            guard moved > 0 else { return false }
            guard let part = chunk.getSlice(at: chunk.readerIndex + cutBytes, length: moved) else {
                preconditionFailure("the chunk has these bytes")
            }
            // Grows with what came, not with what the header promises: a promise costs its sender nothing.
            carry.writeImmutableBuffer(part)
            cutBytes += moved
        }
    }

    /// Gives `body` frames that `cut` found, in the order of `arrivals`.
    func forEachFrame(_ arrivals: [FrameArrival], _ body: (RawSpan) -> Void) {
        // Asked for once: a buffer checks each time that nobody changes it meanwhile.
        let carry = carry.readableBytesSpan
        let chunk = chunk.readableBytesSpan
        for arrival in arrivals {
            let bytes = arrival.buffer == Int32(Place.carry.rawValue) ? carry : chunk
            body(bytes.extracting(arrival.offset..<arrival.offset + Int(arrival.frameBytes)))
        }
    }

    /// Lets go of the chunk: what was cut is handed over, the rest is the beginning of a frame and is kept.
    mutating func finishChunk() {
        defer {
            chunk = ByteBuffer()
            cutBytes = 0
        }
        // The chunk went into the carry as a whole, and the frame is still not complete.
        guard !isCarryPartial else { return }
        if carry.capacity > Self.carryBytesKept { carry = ByteBuffer() } else { carry.clear() }
        let rest = chunk.readableBytes - cutBytes
        guard rest > 0, let part = chunk.getSlice(at: chunk.readerIndex + cutBytes, length: rest) else { return }
        carry.writeImmutableBuffer(part)
        isCarryPartial = true
        splitFrames &+= 1
    }

    /// Lets go of everything.
    mutating func removeAll() { self = FrameCutter() }

    /// What is wrong with the beginning of a frame that the stream ended in; nil if it ended between two frames.
    var truncation: FrameError? {
        partialBytes > 0 ? FrameCut.truncation(of: carry.readableBytesSpan) : nil
    }
}

extension FrameCut {
    /// How far the stream moves on behind this; nil if it does not.
    fileprivate var frameBytes: Int? {
        switch self {
        case .frame(let header): header.frameLength
        case .refused(_, _, let frameBytes): frameBytes
        case .incomplete, .broken: nil
        }
    }
}
