import Delivery
import FrameCodec
import LinuxSystem
import MetricKinds

@testable import StoreWriter
@testable import Postgres

/// A batch of records of given ages.
struct SampleBatch {
    let summary: BatchSummary
    private(set) var frames: [UInt8]

    /// - Parameter days: the age of each record. Its query is `sample`, the sequence and its number.
    init(epoch: Int64 = 11, sequence: Int64, days: [Int], kind: MetricKind) throws {
        let now = wallClockMicroseconds()
        try self.init(
            epoch: epoch, sequence: sequence, times: days.map { now - Int64($0) * 86_400_000_000 }, kind: kind)
    }

    /// - Parameter firstFrame: the frames are numbered from there on, and want to be acknowledged.
    init(
        epoch: Int64 = 11, sequence: Int64, times: [Int64], kind: MetricKind, firstFrame: UInt64 = 0
    ) throws {
        var frames: [UInt8] = []
        var count = 0
        var encoder = FrameEncoder(frameBytesTarget: 1_400)
        func finish() {
            let number = firstFrame == 0 ? 0 : firstFrame + UInt64(count)
            _ = encoder.finish(FrameIdentity(source: 9, session: 9, sequence: number)) { frame in
                frame.withUnsafeBytes { frames += Array($0) }
            }
            count += 1
        }
        for (index, time) in times.enumerated() {
            var record = AnyRecord(kind: kind, time: time)
            if kind == .routing { record.values[0] = .text("sample\(sequence)-\(index)") }
            if try !encoder.append(record) {
                finish()
                _ = try encoder.append(record)
            }
        }
        finish()
        self.frames = frames
        var acknowledged = FrameFlags()
        for _ in 0..<count { acknowledged.append(firstFrame > 0) }
        summary = BatchSummary(
            identity: BatchIdentity(epoch: epoch, sequence: sequence), recordCount: times.count, frameCount: count,
            byteCount: frames.count, openedMicroseconds: 0,
            sessions: firstFrame == 0
                ? []
                : [
                    SessionFrames(
                        key: SessionKey(source: 9, session: 9),
                        sequences: SequenceRanges([firstFrame..<firstFrame + UInt64(count)]))
                ], acknowledged: acknowledged)
    }

    /// Makes a frame mean nothing, with a checksum that is right.
    mutating func makeMalformed(frame number: Int) throws {
        var offset = 0
        for _ in 0..<number { offset += try header(at: offset).frameLength }
        let header = try header(at: offset)
        frames[offset + header.headerLength] = 0x7F
        frames.replaceSubrange(offset + 12..<offset + 16, with: repeatElement(0, count: 4))
        let frame = frames[offset..<offset + header.frameLength]
        let checksum = Checksum.crc32c(frame.span.bytes)
        withUnsafeBytes(of: checksum.littleEndian) { frames.replaceSubrange(offset + 12..<offset + 16, with: $0) }
    }

    func recordCount(ofFrame number: Int) throws -> Int {
        var offset = 0
        for _ in 0..<number { offset += try header(at: offset).frameLength }
        return try header(at: offset).recordCount
    }

    private func header(at offset: Int) throws -> FrameHeader {
        let rest = frames[offset...]
        return try FrameHeader.read(rest.span.bytes)
    }

    func store(
        _ connection: DatabaseConnection, keepsMalformed: Bool = false, compression: DirectCompression? = nil,
        without storedBefore: [SessionKey: SequenceRanges] = [:]
    ) throws -> StoredBatch {
        try withDecoded(without: storedBefore) { bytes, decoded in
            try BatchWriter(connection, fence: Self.fence, compression: compression).store(
                summary, frames: bytes, decoded: decoded, keepsMalformed: keepsMalformed)
        }
    }

    /// As a batch over too many days is stored, whatever its days are.
    ///
    /// - Returns: false when it was stored before.
    func storeInParts(_ connection: DatabaseConnection, chunksMax: Int) throws -> Bool {
        try withDecoded { bytes, decoded -> Bool in
            guard let known = try BatchParts.read(connection, summary.identity) else { return false }
            var outcome = StoredBatch()
            let ownRecords = try PartedStore(
                connection: connection, fence: Self.fence, summary: summary, frames: bytes, decoded: decoded,
                kept: [], chunksMax: chunksMax
            ).store(known, &outcome)
            return ownRecords != nil
        }
    }

    private static let fence = CommitFence(key: 78)

    private func withDecoded<Result>(
        without storedBefore: [SessionKey: SequenceRanges] = [:],
        _ body: (UnsafeRawBufferPointer, DecodedBatch) throws -> Result
    ) throws -> Result {
        let decoded = DecodedBatch()
        return try frames.span.bytes.withUnsafeBytes { bytes in
            decoded.decode(bytes, summary, storedBefore: storedBefore)
            return try body(bytes, decoded)
        }
    }
}
