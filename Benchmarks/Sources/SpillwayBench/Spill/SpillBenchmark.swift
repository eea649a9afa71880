// What the spill takes and gives back, beside the bare disk; and how fast the collector replays it into a real database,
// beside the same records drained directly.

import Delivery
import FrameCodec
import Foundation
import LinuxSystem
import SpillLog

struct SpillBenchmark {
    let runs: Int
    /// Of 50,000 records each: for the log itself, and for replay.
    let logBatches: Int
    let replayBatches: Int
    let collector: String

    /// As the collector's spill thread syncs them.
    private static let groupBatches = 4
    private static let limits: SpillLimits = {
        var limits = SpillLimits()
        limits.freePercentMin = 0
        return limits
    }()

    func run(into report: inout Report) throws {
        let folder = try BenchFolder()
        for (row, bytes) in [("frames of 32 KiB", 32 << 10), ("1,400-byte datagrams", 1_400)] {
            try measureLog(row, FrameStream(frameBytes: bytes, batches: logBatches), folder, &report)
        }
        report.note(
            "spill log",
            """
            \(logBatches) batches of 50,000 routing records, appended and synced in groups of \(Self.groupBatches) on \
            one thread, to a file system on a disk; segments of \(Self.limits.segmentBytesMax >> 20) MiB. The disk \
            alone: as many bytes in writes of 1 MiB and one fdatasync, in turn within each run. Read back from the \
            page cache, where what was spilled just now lies: checksum and LZ4, batch by batch.
            """)
        try ReplayTrials(runs: runs, batches: replayBatches, collector: collector).run(folder, into: &report)
        progressEnd()
    }

    private struct Appended {
        var seconds = 0.0
        var cpuSeconds = 0.0
        var diskBytes = 0.0
        var batches: [SpilledBatch] = []
    }

    private func measureLog(
        _ row: String, _ stream: FrameStream, _ folder: BenchFolder, _ report: inout Report
    ) throws {
        let batches = Self.batches(of: stream)
        var appended: [Appended] = []
        var diskRates: [Double] = []
        var readSeconds: [Double] = []
        // The first is not counted: memory is touched and grown.
        for run in 0...runs {
            progress("spill: \(row), run \(run) of \(runs)")
            let path = "\(folder.path)/log-\(run)-\(stream.frameCount)"
            let directory = try SpillDirectory.open(path)
            let sample = try append(batches, stream, to: directory)
            let seconds = try readBack(sample.batches, directory)
            let diskRate = try DiskFloor.write(bytes: Int(sample.diskBytes), path: "\(folder.path)/floor")
            try FileManager.default.removeItem(atPath: path)
            guard run > 0 else { continue }
            appended.append(sample)
            readSeconds.append(seconds)
            diskRates.append(diskRate)
        }
        let bytes = Double(stream.bytes.count)
        let records = Double(stream.recordCount)
        func add(_ column: String, _ unit: String, _ samples: [Double], _ better: Better? = nil) {
            report.add("spill log", row, column, unit, samples, better: better)
        }
        add("frames in", "GB/s", appended.map { bytes / $0.seconds / 1e9 })
        add("records in", "M/s", appended.map { records / $0.seconds / 1e6 })
        add("CPU", "ns/record", appended.map { $0.cpuSeconds * 1e9 / records })
        add("ratio", "", [bytes / appended[0].diskBytes], .higher)
        add("to disk", "GB/s", appended.map { $0.diskBytes / $0.seconds / 1e9 })
        add("disk alone", "GB/s", diskRates, .neither)
        add("of the disk", "", zip(appended, diskRates).map { $0.diskBytes / $0.seconds / 1e9 / $1 }, .higher)
        add("frames read back", "GB/s", readSeconds.map { bytes / $0 / 1e9 })
    }

    /// Summary and place of each batch, cut where the collector would cut: a stream ends a frame with each 50,000.
    private static func batches(of stream: FrameStream) -> [(summary: BatchSummary, bytes: Range<Int>)] {
        var found: [(summary: BatchSummary, bytes: Range<Int>)] = []
        stream.bytes.withUnsafeBytes { bytes in
            var (start, offset, frames, records) = (0, 0, 0, 0)
            var sequence: UInt64 = 1
            while offset < bytes.count {
                let header = expect("a frame of the stream is valid") { () throws(FrameError) in
                    try FrameHeader.read(UnsafeRawBufferPointer(rebasing: bytes[offset...]).bytes)
                }
                offset += header.frameLength
                frames += 1
                records += header.recordCount
                guard records == 50_000 else { continue }
                var sequences = SequenceRanges()
                sequences.insert(sequence..<sequence + UInt64(frames))
                sequence += UInt64(frames)
                let summary = BatchSummary(
                    identity: BatchIdentity(epoch: 1, sequence: Int64(found.count) + 1), recordCount: records,
                    frameCount: frames, byteCount: offset - start, openedMicroseconds: 0,
                    sessions: [SessionFrames(key: SessionKey(header.identity), sequences: sequences)])
                found.append((summary, start..<offset))
                (start, frames, records) = (offset, 0, 0)
            }
        }
        return found
    }

    private func append(
        _ batches: [(summary: BatchSummary, bytes: Range<Int>)], _ stream: FrameStream, to directory: SpillDirectory
    ) throws -> Appended {
        var result = Appended()
        var writer = SpillWriter(
            fileSystem: directory.fileSystem, directoryID: directory.directoryID, epoch: 1, limits: Self.limits)
        let start = nowNanoseconds()
        let cpuStart = threadNanoseconds()
        try stream.bytes.withUnsafeBytes { bytes in
            for (index, batch) in batches.enumerated() {
                let frames = UnsafeRawBufferPointer(rebasing: bytes[batch.bytes])
                result.batches.append(
                    try writer.append(batch.summary, frames: frames, nowMicroseconds: wallClockMicroseconds()))
                if index % Self.groupBatches == Self.groupBatches - 1 || index == batches.count - 1 {
                    try writer.sync()
                }
            }
        }
        result.seconds = Double(nowNanoseconds() - start) / 1e9
        result.cpuSeconds = Double(threadNanoseconds() - cpuStart) / 1e9
        result.diskBytes = Double(writer.usedBytes)
        return result
    }

    /// - Returns: seconds.
    private func readBack(_ batches: [SpilledBatch], _ directory: SpillDirectory) throws -> Double {
        let reader = SpillReader(fileSystem: directory.fileSystem)
        let largest = batches.map(\.summary.byteCount).max() ?? 0
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: largest, alignment: 16)
        defer { memory.deallocate() }
        // The pages are touched before anything counts.
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        let start = nowNanoseconds()
        for batch in batches {
            try reader.read(batch, into: UnsafeMutableRawBufferPointer(rebasing: memory[..<batch.summary.byteCount]))
        }
        return Double(nowNanoseconds() - start) / 1e9
    }
}
