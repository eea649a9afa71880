import Delivery
import FrameCodec
import LinuxSystem
import MetricKinds

@testable import TimescaleStore

/// A batch of records of given ages.
struct SampleBatch {
    let summary: BatchSummary
    let frames: [UInt8]

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
        summary = BatchSummary(
            identity: BatchIdentity(epoch: epoch, sequence: sequence), recordCount: times.count, frameCount: count,
            byteCount: frames.count, openedMicroseconds: 0,
            sessions: firstFrame == 0
                ? []
                : [
                    SessionFrames(
                        key: SessionKey(source: 9, session: 9),
                        sequences: SequenceRanges([firstFrame..<firstFrame + UInt64(count)]))
                ])
    }

    func store(_ connection: DatabaseConnection) throws -> StoredBatch {
        let decoded = DecodedBatch()
        return try frames.span.bytes.withUnsafeBytes { bytes in
            decoded.decode(bytes)
            return try BatchWriter(connection, fence: CommitFence(key: 78)).store(
                summary, frames: bytes, decoded: decoded)
        }
    }
}
