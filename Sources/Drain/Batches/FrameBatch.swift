// The unit of the drain: whole frames, one behind the other, under one identity. What a lane commits is a batch.

import Delivery
import FrameCodec
import Glibc

/// How large a batch may become before it is closed.
package struct BatchLimits: Sendable {
    /// Records of all its frames.
    package var recordsMax = 50_000
    /// Bytes of all its frames. One frame always fits.
    package var bytesMax = 8 << 20
    /// It is closed as soon as a lane is free when it has reached this part of either. Smaller ones would cost the database
    /// more for each record than waiting for the next ones costs anybody.
    package var partWorthwhile = 4

    package init() {}
}

/// Frames that are committed together. One thread at a time owns a batch: the drainer fills it, a lane stores it.
///
/// `@unchecked Sendable`: a batch is handed from thread to thread by queues, whose locks order the accesses, and nobody
/// keeps it afterwards.
package final class FrameBatch: @unchecked Sendable {
    /// Records as the headers claim them: what the ledger has counted.
    package private(set) var recordCount = 0
    /// Given when the batch is closed, before its first attempt; the same for every attempt. Nil while it is filled.
    package private(set) var identity: BatchIdentity?
    package private(set) var frameCount = 0
    package private(set) var byteCount = 0
    /// When the first frame came in, in monotonic nanoseconds.
    package private(set) var openedAt: UInt64 = 0
    private var openedMicroseconds: Int64 = 0
    /// Records by source.
    package private(set) var sources: [UInt64: Int] = [:]
    private var sessions: [SessionKey: SequenceRanges] = [:]
    /// Which frames' clients wait for an acknowledgement.
    private var acknowledged = FrameFlags()
    /// Records that can be in the frames, whatever their headers claim.
    private var possibleRecords = 0
    /// The frames that follow each other with one identity, not added to the tables yet.
    private var run = Run()

    private struct Run {
        var source: UInt64 = 0
        var records = 0
        var key: SessionKey?
        var sequences: Range<UInt64> = 0..<0
    }

    /// A record's length, bitmap and time take a byte each.
    private static let recordBytesMin = 3

    private let limits: BatchLimits
    private let base: UnsafeMutableRawPointer
    private let capacity: Int

    package init(limits: BatchLimits) {
        self.limits = limits
        capacity = limits.bytesMax + FrameLimits.frameBytesMax
        // Pages that a small batch never reaches are never touched.
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    package var isEmpty: Bool { frameCount == 0 }

    /// Whether the next frame belongs into another batch.
    package var isFull: Bool {
        // The ledger's column has 32 bits.
        possibleRecords >= limits.recordsMax || byteCount >= limits.bytesMax || recordCount >= 1 << 30
    }

    /// Whether it is worth a lane's while, though there is room for more.
    package var isWorthwhile: Bool {
        !isEmpty
            && (possibleRecords >= limits.recordsMax / limits.partWorthwhile
                || byteCount >= limits.bytesMax / limits.partWorthwhile)
    }

    /// Copies an admitted frame to the batch's end.
    ///
    /// - Parameter isAcknowledged: its client is to be told when it is durable, if it is numbered.
    package func append(
        _ frame: RawSpan, _ header: borrowing FrameHeader, isAcknowledged: Bool, now: UInt64, wallMicroseconds: Int64
    ) {
        precondition(!isFull && frame.byteCount <= capacity - byteCount)
        if isEmpty {
            openedAt = now
            openedMicroseconds = wallMicroseconds
        }
        frame.withUnsafeBytes { bytes in
            guard let source = bytes.baseAddress else { return }
            memcpy(base + byteCount, source, bytes.count)
        }
        byteCount += frame.byteCount
        // What a header claims is not proven yet: 52 bytes must not fill a batch.
        possibleRecords += min(header.recordCount, frame.byteCount / Self.recordBytesMin)
        recordCount += header.recordCount
        frameCount += 1
        note(header.identity, records: header.recordCount, isAcknowledged: isAcknowledged)
    }

    private func note(_ identity: FrameIdentity, records: Int, isAcknowledged: Bool) {
        if identity.source != run.source {
            endSourceRun()
            run.source = identity.source
        }
        run.records += records
        let isNumbered = isAcknowledged && identity.sequence > 0
        acknowledged.append(isNumbered)
        guard isNumbered else { return }
        let key = SessionKey(identity)
        if run.key == key, run.sequences.upperBound == identity.sequence {
            run.sequences = run.sequences.lowerBound..<identity.sequence + 1
        } else {
            endSessionRun()
            run.key = key
            run.sequences = identity.sequence..<identity.sequence + 1
        }
    }

    private func endSourceRun() {
        if run.records > 0 { sources[run.source, default: 0] += run.records }
        run.records = 0
    }

    private func endSessionRun() {
        if let key = run.key { sessions[key, default: SequenceRanges()].insert(run.sequences) }
        run.key = nil
    }

    /// Names the batch. From here on its frames do not change until it is emptied.
    ///
    /// - Returns: its account.
    package func close(_ identity: BatchIdentity) -> BatchSummary {
        endSourceRun()
        endSessionRun()
        self.identity = identity
        return BatchSummary(
            identity: identity, recordCount: recordCount, frameCount: frameCount, byteCount: byteCount,
            openedMicroseconds: openedMicroseconds,
            sessions: sessions.map { SessionFrames(key: $0, sequences: $1) }.sorted { $0.key < $1.key },
            acknowledged: acknowledged)
    }

    package func removeAll() {
        identity = nil
        recordCount = 0
        possibleRecords = 0
        frameCount = 0
        byteCount = 0
        sources.removeAll(keepingCapacity: true)
        sessions.removeAll(keepingCapacity: true)
        acknowledged.removeAll()
        run = Run()
    }

    /// The frames, one behind the other.
    package func withFrames<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: byteCount))
    }
}
