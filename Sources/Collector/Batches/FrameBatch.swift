// The unit of the drain: whole frames, one behind the other, under one identity. What a lane commits is a batch.

import Delivery
import FrameCodec
import Glibc
import TimescaleStore

/// How large a batch may become before it is closed.
public struct BatchLimits: Sendable {
    /// Records of all its frames.
    public var recordsMax = 50_000
    /// Bytes of all its frames. One frame always fits.
    public var bytesMax = 8 << 20

    public init() {}
}

/// Frames that are committed together. One thread at a time owns a batch: the drainer fills it, a lane stores it.
///
/// `@unchecked Sendable`: a batch is handed from thread to thread by queues, whose locks order the accesses, and nobody
/// keeps it afterwards.
final class FrameBatch: @unchecked Sendable {
    /// Given when the batch is closed, before its first attempt; the same for every attempt.
    private(set) var identity = BatchIdentity(epoch: 0, sequence: 0)
    private(set) var recordCount = 0
    private(set) var frameCount = 0
    private(set) var byteCount = 0
    /// When the first frame came in, in monotonic nanoseconds.
    private(set) var openedAt: UInt64 = 0
    /// A record's length, bitmap and time take a byte each.
    private static let recordBytesMin = 3

    private let limits: BatchLimits
    private let base: UnsafeMutableRawPointer
    private let capacity: Int

    init(limits: BatchLimits) {
        self.limits = limits
        capacity = limits.bytesMax + FrameLimits.frameBytesMax
        // Pages that a small batch never reaches are never touched.
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    var isEmpty: Bool { frameCount == 0 }

    /// Whether the next frame belongs into another batch.
    var isFull: Bool { recordCount >= limits.recordsMax || byteCount >= limits.bytesMax }

    /// Copies an admitted frame to the batch's end.
    func append(_ frame: RawSpan, recordCount frameRecords: Int, now: UInt64) {
        precondition(!isFull && frame.byteCount <= capacity - byteCount)
        if isEmpty { openedAt = now }
        frame.withUnsafeBytes { bytes in
            guard let source = bytes.baseAddress else { return }
            memcpy(base + byteCount, source, bytes.count)
        }
        byteCount += frame.byteCount
        // What a header claims is not proven yet: 52 bytes must not fill a batch.
        recordCount += min(frameRecords, frame.byteCount / Self.recordBytesMin)
        frameCount += 1
    }

    /// Names the batch. From here on its frames do not change until it is emptied.
    func close(_ identity: BatchIdentity) { self.identity = identity }

    func removeAll() {
        recordCount = 0
        frameCount = 0
        byteCount = 0
    }

    /// The frames, one behind the other.
    func withFrames<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: byteCount))
    }
}
