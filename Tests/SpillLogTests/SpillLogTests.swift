// The spill on a real disk: what goes in comes out, whoever reads it.

import Delivery
import Foundation
import LinuxSystem
import Testing

@testable import SpillLog

struct SpillLogTests {
    private func writer(_ folder: SpillFolder, _ limits: SpillLimits = SpillLimits()) -> SpillWriter {
        SpillWriter(
            fileSystem: folder.fileSystem, directoryID: folder.directory.directoryID, epoch: 0xABC, limits: limits)
    }

    /// With batches of which some or all blocks do not shrink, and of all sizes around those of blocks.
    @Test func whatIsWrittenIsReadBackAndByTheStockProgramToo() throws {
        let folder = try SpillFolder()
        var generator = SeededGenerator(seed: 1)
        var batches: [TestBatch] = []
        for bytes in [1, 11, 12, 13, 100, 65_524, 65_535, 65_536, 65_537, 65_547, 65_548, 65_549, 131_084, 200_001] {
            for noise in [0, bytes / 2, bytes] {
                let number = batches.count + 1
                batches.append(
                    TestBatch(
                        Int64(number), byteCount: bytes, noiseBytes: noise, using: &generator, sessions: number % 3))
            }
        }
        var writer = writer(folder)
        for batch in batches { _ = try writer.append(batch) }
        let ended = try writer.endSegment()
        let name = try #require(ended)
        let recovery = try folder.recover()
        #expect(recovery.segments.flatMap(\.batches).map(\.summary) == batches.map(\.summary))
        #expect(recovery.segments.first?.isSealed == true)
        let contents = try folder.contents(recovery)
        for batch in batches { #expect(contents[batch.summary.identity] == batch.bytes) }

        let output = folder.path + "/decoded"
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["lz4", "-dcf", folder.file(name).path]
        try #require(FileManager.default.createFile(atPath: output, contents: nil))
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(try Data(contentsOf: URL(fileURLWithPath: output)) == Data(batches.flatMap(\.bytes)))
    }

    @Test func segmentsAreClosedToOthersAndHaveOneOwner() throws {
        let folder = try SpillFolder()
        var generator = SeededGenerator(seed: 2)
        var writer = writer(folder)
        _ = try writer.append(TestBatch(1, byteCount: 100, using: &generator))
        try writer.sync()
        let current = writer.currentSegment
        for (path, mode) in [(folder.path, 0o700), (folder.file(try #require(current)).path, 0o600)] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == mode)
        }
        #expect(throws: SpillError.self) { _ = try SpillDirectory.open(folder.path) }
        chmod(folder.path, 0o750)
        #expect(throws: SpillError.self) { _ = try SpillDirectory.read(folder.path) }
        chmod(folder.path, 0o700)
        #expect(throws: SpillError.self) { _ = try SpillDirectory.open("/usr") }
    }

    @Test func emptyForeignAndUnreadableFilesDoNotStopTheStart() throws {
        let folder = try SpillFolder()
        var generator = SeededGenerator(seed: 3)
        var writer = writer(folder)
        let batch = TestBatch(1, byteCount: 5_000, using: &generator)
        _ = try writer.append(batch)
        _ = try writer.endSegment()
        let empty = SegmentName(epoch: 9, sequence: 1)
        for name in [empty.text, "notes.txt", "spill-xyz.lz4"] {
            try #require(FileManager.default.createFile(atPath: folder.path + "/" + name, contents: nil))
        }
        try FileManager.default.createDirectory(
            atPath: folder.path + "/" + SegmentName(epoch: 9, sequence: 2).text, withIntermediateDirectories: false)
        try Data(repeating: 0x47, count: 5_000).write(to: folder.file(SegmentName(epoch: 9, sequence: 3)))
        let recovery = try folder.recover()
        #expect(recovery.segments.flatMap(\.batches).map(\.summary) == [batch.summary])
        #expect(!FileManager.default.fileExists(atPath: folder.file(empty).path))
        #expect(FileManager.default.fileExists(atPath: folder.path + "/notes.txt"))
        #expect(recovery.warnings.contains { $0.contains("notes.txt") })
    }

    @Test func aFullSegmentIsFollowedByAnotherAndTheQuotaHolds() throws {
        let folder = try SpillFolder()
        var generator = SeededGenerator(seed: 4)
        var limits = SpillLimits()
        limits.segmentBytesMax = 60_000
        limits.quotaBytes = 200_000
        limits.freePercentMin = 0
        var writer = writer(folder, limits)
        var names: Set<SegmentName> = []
        var written = 0
        while true {
            do throws(SpillError) {
                names.insert(
                    try writer.append(TestBatch(Int64(written + 1), byteCount: 40_000, using: &generator)).segment)
                written += 1
            } catch {
                guard case .quotaReached = error else { throw error }
                break
            }
        }
        try writer.sync()
        let (used, ended) = (writer.usedBytes, writer.takeEndedSegments())
        #expect(names.count > 2 && used <= limits.quotaBytes)
        #expect(ended.count == names.count - 1)
        #expect(try folder.recover().batches == written)
        // Room again behind a removal.
        let oldest = try #require(names.min())
        try writer.remove(oldest, keepInQuarantine: false)
        _ = try writer.append(TestBatch(99, byteCount: 40_000, using: &generator))
    }

    @Test func aFailedSyncEndsTheSegmentForGood() throws {
        let folder = try SpillFolder()
        var generator = SeededGenerator(seed: 5)
        let failing = FailingFileSystem(folder.fileSystem)
        var writer = SpillWriter(fileSystem: failing, directoryID: 1, epoch: 3, limits: SpillLimits())
        let first = try writer.append(TestBatch(1, byteCount: 3_000, using: &generator))
        try writer.sync()
        failing.failsSync = true
        let second = TestBatch(2, byteCount: 3_000, using: &generator)
        _ = try writer.append(second)
        var hasFailed = false
        do throws(SpillError) { try writer.sync() } catch { hasFailed = true }
        #expect(hasFailed)
        let abandoned = writer.abandonSegment()
        #expect(abandoned == first.segment)
        failing.failsSync = false
        let again = try writer.append(second)
        try writer.sync()
        #expect(again.segment != first.segment)
        #expect(failing.syncsBehindFailure == 0)
        #expect(try folder.recover().segments.flatMap(\.batches).map(\.summary.identity.sequence) == [1, 2])
    }
}
