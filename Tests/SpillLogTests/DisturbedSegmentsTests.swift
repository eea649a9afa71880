// What something other than the collector does to the spill while it is written: removed, replaced and cut segments, and a
// folder that goes away. What can still be read is written again, what cannot is counted at once, and nothing is acknowledged
// without a name.

import Delivery
import Foundation
import LinuxSystem
import Testing

@testable import SpillLog

struct DisturbedSegmentsTests {
    private let folder: SpillFolder
    private let failing: FailingFileSystem
    private let owner = TestSpillOwner()
    private let files: SegmentFiles

    init() throws {
        folder = try SpillFolder()
        failing = FailingFileSystem(folder.fileSystem)
        files = SegmentFiles()
    }

    private func makeSteps(files: SegmentFiles? = nil) -> SpillSteps {
        var limits = SpillLimits()
        limits.freePercentMin = 0
        return SpillSteps(
            SpillWriter(
                fileSystem: failing, directoryID: folder.directory.directoryID, epoch: 3, limits: limits,
                files: files ?? self.files))
    }

    /// Spills batches, each group with one sync.
    ///
    /// - Returns: their bytes.
    @discardableResult
    private func spill(_ numbers: ClosedRange<Int64>, _ steps: inout SpillSteps) throws -> [BatchIdentity: [UInt8]] {
        var generator = SeededGenerator(seed: UInt64(numbers.lowerBound))
        var bytes: [BatchIdentity: [UInt8]] = [:]
        for number in numbers {
            let batch = TestBatch(number, byteCount: 20_000, noiseBytes: 5_000, using: &generator, sessions: 1)
            bytes[batch.summary.identity] = batch.bytes
            try owner.close(batch)
            let (durable, failure) = steps.write(
                owner.plan.spillWork(max: 4, now: .max), for: owner, now: 0, nowMicroseconds: 1)
            #expect(durable == 1, "\(String(describing: failure))")
        }
        return bytes
    }

    private func end(_ steps: inout SpillSteps) throws {
        let failure = steps.endSegment(for: owner)
        try #require(failure == nil)
    }

    private func segments() throws -> [String] { try folder.fileSystem.names().filter { $0 != "lock" }.sorted() }

    /// What a lane reads of every batch that is not settled.
    private func replayed() -> [BatchIdentity: [UInt8]] {
        let reader = SpillReader(fileSystem: failing, files: files)
        var found: [BatchIdentity: [UInt8]] = [:]
        owner.plan.laneConnected(0)
        while case .replay(let batch)? = owner.plan.work(forLane: 0, now: .max) {
            var bytes = [UInt8](repeating: 0, count: batch.summary.byteCount)
            do throws(SpillError) {
                _ = try reader.summary(of: batch)
                var span = bytes.mutableSpan
                var target = span.mutableBytes
                try target.withUnsafeMutableBytes { (target) throws(SpillError) in try reader.read(batch, into: target)
                }
                found[batch.summary.identity] = bytes
                _ = owner.plan.stored(lane: 0)
            } catch {
                if let lost = owner.plan.unreadable(lane: 0, error.readFailure, now: 0) {
                    owner.recordsLost += lost.recordsLeft
                }
            }
        }
        return found
    }

    @Test func aBatchIsNotAcknowledgedInASegmentWithoutAName() throws {
        var steps = makeSteps()
        var written = try spill(1...3, &steps)
        #expect(unlink(folder.path + "/" + (try #require(segments().first))) == 0)
        written.merge(try spill(4...5, &steps)) { $1 }
        #expect(steps.wasDisturbed == false, "the second batch after the removal finds nothing wrong")
        // What is durable now: the two that came afterwards, and with the rescue the three before.
        #expect(try folder.recover().segments.flatMap(\.batches).map(\.summary.identity.sequence) == [4, 5])
        let outcomes = steps.rescueDisturbed(for: owner, nowMicroseconds: 2)
        #expect(outcomes.map(\.disturbance) == [.removed])
        #expect(outcomes.first?.recordsLost == 0 && outcomes.first?.failure == nil)
        let recovered = try folder.recover()
        #expect(try folder.contents(recovered) == written)
        // With the sessions and flags that its frames are acknowledged by.
        #expect(recovered.segments.flatMap(\.batches).allSatisfy { $0.summary.sessions.count == 1 })
        let again = steps.rescueDisturbed(for: owner, nowMicroseconds: 2)
        #expect(again.isEmpty, "what was rescued is rescued once")
        #expect(replayed() == written)
        #expect(owner.plan.spillBatches == 0 && owner.plan.spillBytes == 0 && owner.recordsLost == 0)
    }

    @Test func segmentsThatWaitForTheirReplayAreReadAndWrittenAgainAfterACleaner() throws {
        var steps = makeSteps()
        var written: [BatchIdentity: [UInt8]] = [:]
        for number in 1...4 as ClosedRange<Int64> {
            written.merge(try spill(number...number, &steps)) { $1 }
            try end(&steps)
        }
        for name in try segments() { #expect(unlink(folder.path + "/" + name) == 0) }
        // A lane has the first one, and stores it from the file without a name.
        owner.plan.laneConnected(0)
        guard case .replay(let batch)? = owner.plan.work(forLane: 0, now: 0) else {
            Issue.record("there is nothing to replay")
            return
        }
        let outcomes = steps.rescueDisturbed(for: owner, nowMicroseconds: 2)
        #expect(outcomes.count == 4 && outcomes.allSatisfy { $0.recordsLost == 0 })
        #expect(try folder.contents(folder.recover()) == written)
        #expect(batch.summary.identity.sequence == 1)
        #expect(replayed() == written)
        #expect(owner.recordsLost == 0)
        try end(&steps)
        _ = steps.removeSettled(for: owner, now: 0)
        #expect(try segments().isEmpty)
        let used = steps.usedBytes
        #expect(used == 0)
    }

    /// Which of two copies is durable is not known: the one that is removed may be the one.
    @Test func aCopyThatIsRemovedIsWrittenAgainToo() throws {
        var steps = makeSteps()
        let written = try spill(1...2, &steps)
        try end(&steps)
        let first = try #require(folder.recover().segments.first)
        // The same batches once more, as after a sync that failed.
        let copy = try SpillWriter.copying(first, folder)
        let segment = try #require(copy.first?.segment)
        owner.plan.recovered(segment, batches: [], copies: copy, keepInQuarantine: false)
        files.keep([segment], of: folder.fileSystem)
        #expect(unlink(folder.path + "/" + segment.text) == 0)
        let outcomes = steps.rescueDisturbed(for: owner, nowMicroseconds: 2)
        #expect(outcomes.map(\.name) == [segment])
        let recovery = try folder.recover()
        #expect(recovery.batches == 2 && recovery.segments.reduce(0) { $0 + $1.copies.count } == 2)
        #expect(replayed() == written)
        try end(&steps)
        _ = steps.removeSettled(for: owner, now: .max)
        #expect(try segments().isEmpty && owner.recordsLost == 0)
    }

    @Test func whatIsCutOffASegmentIsCountedAtOnceAndTheRestIsDelivered() throws {
        var steps = makeSteps()
        let written = try spill(1...4, &steps)
        try end(&steps)
        let batches = try folder.recover().segments.flatMap(\.batches)
        let path = folder.path + "/" + (try #require(segments().first))
        #expect(truncate(path, batches[2].frameOffset + 100) == 0)
        let outcomes = steps.rescueDisturbed(for: owner, nowMicroseconds: 2)
        let lost = batches[2].summary.recordCount + batches[3].summary.recordCount
        #expect(outcomes.map(\.disturbance) == [.cut] && outcomes.map(\.recordsLost) == [lost])
        #expect(owner.plan.spillBatches == 2)
        let found = replayed()
        #expect(found == written.filter { $0.key.sequence <= 2 })
        // What is left of it is kept.
        try end(&steps)
        _ = steps.removeSettled(for: owner, now: 0)
        #expect(folder.quarantined.count == 1)
    }

    @Test func aFileInTheSegmentsPlaceIsKeptAndTheSegmentIsWrittenAgain() throws {
        var steps = makeSteps()
        let written = try spill(1...3, &steps)
        let name = try #require(segments().first)
        #expect(unlink(folder.path + "/" + name) == 0)
        let foreign = Data((0..<100_000).map { UInt8(truncatingIfNeeded: $0) })
        try foreign.write(to: URL(fileURLWithPath: folder.path + "/" + name))
        let outcomes = steps.rescueDisturbed(for: owner, nowMicroseconds: 2)
        #expect(outcomes.map(\.disturbance) == [.replaced])
        #expect(replayed() == written)
        _ = steps.removeSettled(for: owner, now: 0)
        #expect(folder.quarantined == [name])
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path + "/quarantine/" + name)) == foreign)
    }

    @Test(arguments: [false, true])
    func aFolderThatIsRemovedOrRenamedIsCreatedAgainWithAllThatItHeld(_ isRenamed: Bool) throws {
        var steps = makeSteps()
        var written = try spill(1...2, &steps)
        try end(&steps)
        written.merge(try spill(3...4, &steps)) { $1 }
        let other = folder.path + "-moved"
        defer { do { try FileManager.default.removeItem(atPath: other) } catch {} }
        if isRenamed {
            #expect(rename(folder.path, other) == 0)
        } else {
            try FileManager.default.removeItem(atPath: folder.path)
        }
        // Before any check: the writer finds out by itself.
        written.merge(try spill(5...5, &steps)) { $1 }
        let wasTaken = try steps.keepPlace()
        #expect(wasTaken, "it was taken with the batch, which is still to be reported")
        let isTakenAgain = try steps.keepPlace()
        #expect(!isTakenAgain)
        _ = steps.rescueDisturbed(for: owner, nowMicroseconds: 2)
        #expect(try folder.contents(folder.recover()) == written)
        let lock = try String(contentsOfFile: folder.path + "/lock", encoding: .utf8)
        #expect(lock.hasPrefix(String(folder.directory.directoryID, radix: 16).leftPadded(16)))
        #expect(replayed() == written)
        #expect(owner.recordsLost == 0)
    }

    @Test func nothingIsAcknowledgedWhileThePathIsNoSpill() throws {
        var steps = makeSteps()
        let written = try spill(1...1, &steps)
        let other = folder.path + "-moved"
        #expect(rename(folder.path, other) == 0)
        defer { do { try FileManager.default.removeItem(atPath: other) } catch {} }
        try FileManager.default.createDirectory(
            atPath: folder.path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        try Data("mine".utf8).write(to: URL(fileURLWithPath: folder.path + "/notes.txt"))
        var generator = SeededGenerator(seed: 2)
        let batch = TestBatch(2, byteCount: 9_000, using: &generator)
        try owner.close(batch)
        let (durable, failure) = steps.write(
            owner.plan.spillWork(max: 4, now: .max), for: owner, now: 0, nowMicroseconds: 1)
        #expect(durable == 0)
        #expect("\(failure.map { "\($0)" } ?? "")".contains("not a spill"))
        // Back at its place everything goes on.
        try FileManager.default.removeItem(atPath: folder.path)
        #expect(rename(other, folder.path) == 0)
        let (later, _) = steps.write(
            owner.plan.spillWork(max: 4, now: .max), for: owner, now: 0, nowMicroseconds: 1)
        #expect(later == 1)
        let found = replayed()
        #expect(found[batch.summary.identity] == batch.bytes)
        #expect(found.count == written.count + 1)
    }

    @Test func aLockThatIsRemovedIsTakenAgain() throws {
        var steps = makeSteps()
        #expect(unlink(folder.path + "/lock") == 0)
        let wasTaken = try steps.keepPlace()
        #expect(wasTaken)
        #expect(throws: SpillError.self) { try SpillDirectory.open(folder.path) }
        let again = try steps.keepPlace()
        #expect(!again)
    }

    @Test func segmentsBeyondTheOpenOnesAreCountedAtOnceWhenTheyGo() throws {
        let few = SegmentFiles(capacity: 2)
        var steps = makeSteps(files: few)
        for number in 1...4 as ClosedRange<Int64> {
            try spill(number...number, &steps)
            try end(&steps)
        }
        let recovered = try folder.recover().segments
        for name in try segments() { #expect(unlink(folder.path + "/" + name) == 0) }
        let outcomes = steps.rescueDisturbed(for: owner, nowMicroseconds: 2)
        let lost = recovered.suffix(2).flatMap(\.batches).reduce(0) { $0 + $1.summary.recordCount }
        #expect(outcomes.reduce(0) { $0 + $1.recordsLost } == lost)
        #expect(owner.plan.spillBatches == 2)
    }

    @Test func theReplayLetsGoOfASegmentThatWasRemoved() throws {
        var steps = makeSteps()
        let written = try spill(1...3, &steps)
        try end(&steps)
        // One reader with the writer's files, one that opens by name.
        let readers = [SpillReader(fileSystem: failing, files: files), SpillReader(fileSystem: failing)]
        owner.plan.laneConnected(0)
        while case .replay(let batch)? = owner.plan.work(forLane: 0, now: .max) {
            for reader in readers {
                var bytes = [UInt8](repeating: 0, count: batch.summary.byteCount)
                _ = try reader.summary(of: batch)
                try bytes.withUnsafeMutableBytes { try reader.read(batch, into: $0) }
                #expect(bytes == written[batch.summary.identity])
            }
            _ = owner.plan.stored(lane: 0)
        }
        _ = steps.removeSettled(for: owner, now: 0)
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { number in
            do { return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + number) } catch {
                // It was the listing's own.
                return nil
            }
        }
        #expect(!open.contains { $0.hasPrefix(folder.path + "/spill-") }, "\(open.filter { $0.contains("deleted") })")
        withExtendedLifetime(readers) {}
    }

    @Test func aBlockThatHasNoCauseAnyMoreIsFoundWithoutABatch() throws {
        var steps = makeSteps()
        failing.freeBytes = 100
        var generator = SeededGenerator(seed: 2)
        try owner.close(TestBatch(1, byteCount: 20_000, noiseBytes: 15_000, using: &generator))
        var limits = SpillLimits()
        limits.freePercentMin = 0.01
        var bounded = SpillSteps(
            SpillWriter(fileSystem: failing, directoryID: 1, epoch: 4, limits: limits, files: files))
        let (durable, failure) = bounded.write(
            owner.plan.spillWork(max: 4, now: .max), for: owner, now: 0, nowMicroseconds: 1)
        #expect(durable == 0 && failure != nil)
        #expect(owner.plan.spillBlock != nil && !owner.plan.needsSpillProbe)
        // A lane stores it: nothing is offered to the spill any more.
        owner.plan.laneConnected(0)
        #expect(owner.plan.work(forLane: 0, now: .max) != nil)
        _ = owner.plan.stored(lane: 0)
        #expect(owner.plan.needsSpillProbe)
        #expect("\(bounded.missingRoom(for: 1_000) as SpillError?)".contains("the disk has 100 bytes left"))
        #expect(steps.missingRoom(for: 50) == nil && steps.missingRoom(for: 1_000) != nil, "without a share too")
        let still = bounded.probe(for: owner, nowMicroseconds: 2)
        #expect(still != nil && owner.plan.spillBlock != nil)
        failing.freeBytes = 1 << 30
        let none = bounded.probe(for: owner, nowMicroseconds: 2)
        #expect(none == nil && owner.plan.spillBlock == nil)
        #expect(bounded.missingRoom(for: 1_000) == nil)
        let ended = bounded.endSegment(for: owner)
        #expect(ended == nil)
        _ = bounded.removeSettled(for: owner, now: 0)
        #expect(try segments().isEmpty, "the trial leaves nothing")
        _ = steps.endSegment(for: owner)
    }
}

extension SpillWriter {
    /// Writes the batches of a segment to another one, by a writer of its own.
    fileprivate static func copying(
        _ segment: RecoveredSegment, _ folder: SpillFolder
    ) throws -> [SpilledBatch] {
        var writer = SpillWriter(
            fileSystem: folder.fileSystem, directoryID: folder.directory.directoryID, epoch: 99, limits: SpillLimits())
        let copies = try segment.batches.map { try writer.copy($0, nowMicroseconds: 3) }
        _ = try writer.endSegment()
        return copies
    }
}

extension String {
    fileprivate func leftPadded(_ count: Int) -> String {
        String(repeating: "0", count: max(0, count - self.count)) + self
    }
}
