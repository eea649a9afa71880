// Damage of every kind: no changed byte is ever delivered, at most the batch that was hit is missing, its bytes are in the
// quarantine and it is counted, all others are delivered, and a second recovery finds the same.

import Delivery
import FrameCodec
import Foundation
import Testing

@testable import SpillLog

@Suite(.serialized) struct DamageTests {
    private static let isLong = ProcessInfo.processInfo.environment["SPILLWAY_TORTURE"] == "1"

    /// Where the batches of an intact segment are.
    private static func places(_ subject: Subject) throws -> [SpilledBatch] {
        try subject.folder.recover(isReadOnly: true).segments.flatMap(\.batches)
    }

    /// A segment on disk that is damaged again and again.
    private final class Subject {
        let folder: SpillFolder
        let batches: [TestBatch]
        let name: SegmentName
        let intact: [UInt8]
        private var places: [SpilledBatch] = []
        private(set) var trials = 0
        private(set) var lost = 0
        private(set) var counted = 0

        init(isSealed: Bool, using generator: inout some RandomNumberGenerator) throws {
            folder = try SpillFolder()
            batches = (1...6).map {
                TestBatch(Int64($0), byteCount: 1_000 + 500 * $0, using: &generator, sessions: $0 % 3)
            }
            var writer = SpillWriter(
                fileSystem: folder.fileSystem, directoryID: 5, epoch: 0x17, limits: SpillLimits())
            for batch in batches { _ = try writer.append(batch) }
            try writer.sync()
            let current = writer.currentSegment
            name = try #require(current)
            if isSealed { _ = try writer.endSegment() }
            intact = Array(try Data(contentsOf: folder.file(name)))
            places = try folder.recover(isReadOnly: true).segments.flatMap(\.batches)
        }

        /// Every byte of a batch that is missing is in the quarantine, unless its place is past the file's end or holds zeros.
        private func checkQuarantine(_ bytes: [UInt8], _ found: [BatchIdentity: [UInt8]], _ what: String) throws {
            let files = try folder.quarantined.map { name in
                (name, Array(try Data(contentsOf: URL(fileURLWithPath: folder.path + "/quarantine/" + name))))
            }
            for place in places where found[place.summary.identity] == nil {
                let batch = min(place.headerOffset, bytes.count)..<min(place.endOffset, bytes.count)
                guard bytes[batch].contains(where: { $0 != 0 }) else { continue }
                let isKept = files.contains { name, file in
                    if name == self.name.text { return file == bytes }
                    guard let start = Int(name.split(separator: "-").last ?? "") else { return false }
                    let end = start + file.count
                    return start <= batch.lowerBound && batch.upperBound <= end
                        && bytes[start..<end].elementsEqual(file)
                }
                try #require(isKept, "batch \(place.summary.identity) is not in the quarantine: \(what)")
            }
        }

        /// - Parameters:
        ///   - lostMax: batches that may be missing.
        ///   - isEndOfBatch: the bytes end where a batch ends: nobody can see that there was more.
        func check(
            _ bytes: [UInt8], lostMax: Int, isEndOfBatch: Bool = false, countsBatches: Bool = false,
            _ what: @autoclosure () -> String
        ) throws {
            trials += 1
            try Data(bytes).write(to: folder.file(name))
            let recovery = try folder.recover()
            let found = try folder.contents(recovery)
            for (identity, content) in found {
                let batch = batches.first { $0.summary.identity == identity }
                try #require(batch?.bytes == content, "a changed batch was delivered: \(what())")
            }
            let missing = batches.count - found.count
            try #require(missing <= lostMax, "\(missing) batches are missing: \(what())")
            lost += missing
            counted += recovery.damagedBatches
            if missing > 0, !isEndOfBatch {
                try #require(
                    recovery.damagedBatches >= 1 || recovery.tornTails > 0, "nothing was counted: \(what())")
                try checkQuarantine(bytes, found, what())
            }
            // A batch that is there to its last byte is counted as one, and its records where they can still be read.
            if countsBatches {
                try #require(recovery.damagedBatches >= missing, "\(recovery.damagedBatches) counted: \(what())")
            }
            let again = try folder.recover()
            try #require(try folder.contents(again) == found, "a second recovery finds something else: \(what())")
            for file in folder.quarantined {
                try FileManager.default.removeItem(atPath: folder.path + "/quarantine/" + file)
            }
        }
    }

    @Test(arguments: [false, true])
    func truncationAtEveryByteLosesOnlyWhatIsBehind(_ isSealed: Bool) throws {
        var generator = SeededGenerator(seed: 11)
        let subject = try Subject(isSealed: isSealed, using: &generator)
        let recovery = try subject.folder.recover(isReadOnly: true)
        let ends = recovery.segments.flatMap(\.batches).map(\.endOffset)
        let starts = recovery.segments.flatMap(\.batches).map(\.headerOffset)
        let step = Self.isLong ? 1 : 7
        for length in stride(from: 0, to: subject.intact.count, by: step) {
            let lostMax = ends.count { $0 > length }
            try subject.check(
                Array(subject.intact[..<length]), lostMax: lostMax,
                isEndOfBatch: length == 0 || length == SpillFormat.emptyFrame.count || ends.contains(length)
                    || length == starts.first, "cut at byte \(length)")
        }
        print("truncations \(subject.trials), batches lost \(subject.lost), all of them behind the cut")
    }

    @Test(arguments: [false, true])
    func sectorsOfZerosAndNoiseLoseOnlyTheBatchesTheyHit(_ isSealed: Bool) throws {
        var generator = SeededGenerator(seed: 12)
        let subject = try Subject(isSealed: isSealed, using: &generator)
        let batches = try subject.folder.recover(isReadOnly: true).segments.flatMap(\.batches)
        for start in stride(from: 0, to: subject.intact.count, by: 512) {
            let sector = start..<min(start + 512, subject.intact.count)
            let hit = batches.count { $0.headerOffset < sector.upperBound && sector.lowerBound < $0.endOffset }
            var bytes = subject.intact
            bytes.replaceSubrange(sector, with: repeatElement(0, count: sector.count))
            try subject.check(bytes, lostMax: hit, "zeros at \(start)")
            for index in sector { bytes[index] = .random(in: 0...255, using: &generator) }
            try subject.check(bytes, lostMax: hit, "noise at \(start)")
        }
        print("sectors \(subject.trials), batches lost \(subject.lost), counted \(subject.counted)")
    }

    @Test(arguments: [false, true])
    func flippedBitsLoseAtMostTheBatchTheyHit(_ isSealed: Bool) throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let subject = try Subject(isSealed: isSealed, using: &generator)
        for _ in 0..<(Self.isLong ? 50_000 : 1_000) {
            var bytes = subject.intact
            let bit = Int.random(in: 0..<bytes.count * 8, using: &generator)
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            try subject.check(bytes, lostMax: 1, "bit \(bit), seed \(seed)")
        }
        print("flips \(subject.trials), batches lost \(subject.lost), counted \(subject.counted)")
    }

    /// A run that was killed leaves a segment without a seal: its last header decides whether its frames are found.
    @Test(arguments: [false, true])
    func everyBitOfEveryHeaderLosesItsBatchToTheQuarantineAndIsCounted(_ isSealed: Bool) throws {
        var generator = SeededGenerator(seed: 13)
        let subject = try Subject(isSealed: isSealed, using: &generator)
        for batch in try Self.places(subject) {
            for bit in stride(from: batch.headerOffset * 8, to: batch.frameOffset * 8, by: Self.isLong ? 1 : 3) {
                var bytes = subject.intact
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                try subject.check(bytes, lostMax: 1, countsBatches: true, "bit \(bit) of a header")
            }
        }
        print("bits of headers \(subject.trials), batches lost \(subject.lost), counted \(subject.counted)")
    }

    @Test func aSegmentThatReadsAsGarbageIsKeptWhole() throws {
        var generator = SeededGenerator(seed: 14)
        let subject = try Subject(isSealed: false, using: &generator)
        let garbage = subject.intact.map { _ in UInt8.random(in: 1...255, using: &generator) }
        try subject.check(garbage, lostMax: 6, "garbage")
        // The bytes that came back wrong once are right again: what is put back is delivered.
        try subject.check(subject.intact, lostMax: 0, "put back")
    }

    /// Frames that are real ones: their records are counted though the header of their batch is gone.
    @Test func recordsOfABatchWithADamagedHeaderAreCounted() throws {
        let folder = try SpillFolder()
        var frames: [UInt8] = []
        var encoder = FrameEncoder(frameBytesTarget: 1_400)
        for number in 0..<2_000 {
            let record = PointRecord(time: Int64(number), metricName: "m\(number)", value: 1)
            while try !encoder.append(record) {
                _ = encoder.finish(FrameIdentity(source: 1, session: 2, sequence: 3)) { frame in
                    frame.withUnsafeBytes { frames += Array($0) }
                }
            }
        }
        _ = encoder.finish(FrameIdentity(source: 1, session: 2, sequence: 4)) { frame in
            frame.withUnsafeBytes { frames += Array($0) }
        }
        var writer = SpillWriter(fileSystem: folder.fileSystem, directoryID: 5, epoch: 0x17, limits: SpillLimits())
        let batch = try frames.span.bytes.withUnsafeBytes { bytes in
            try writer.append(
                BatchSummary(
                    identity: BatchIdentity(epoch: 1, sequence: 1), recordCount: 2_000, frameCount: 1,
                    byteCount: bytes.count, openedMicroseconds: 0), frames: bytes, nowMicroseconds: 0)
        }
        try writer.sync()
        let file = folder.file(batch.segment)
        var bytes = Array(try Data(contentsOf: file))
        bytes[batch.headerOffset + 40] ^= 4
        try Data(bytes).write(to: file)
        let recovery = try folder.recover()
        #expect(recovery.damagedBatches == 1 && recovery.damagedRecords == 2_000 && recovery.batches == 0)
        #expect(folder.quarantined == [batch.segment.text])
    }

    @Test func anotherEndOfTheSamePlaceAndSizeIsKeptBesideTheFirst() throws {
        let folder = try SpillFolder()
        for byte in [UInt8(1), 2, 1] {
            try [UInt8](repeating: byte, count: 100).span.bytes.withUnsafeBytes { bytes in
                try folder.fileSystem.quarantine("segment-at-7", bytes)
            }
        }
        #expect(folder.quarantined == ["segment-at-7", "segment-at-7-2"])
    }

    /// A whole segment under another name, and one made of beginnings of LZ4 frames: each is read about once.
    @Test func aLargeSegmentOfWhichNoRecordCountsIsSurveyedByItsFrames() throws {
        let folder = try SpillFolder()
        var generator = SeededGenerator(seed: 15)
        var writer = SpillWriter(fileSystem: folder.fileSystem, directoryID: 5, epoch: 0x17, limits: SpillLimits())
        let batches = 20_000
        for number in 1...batches {
            _ = try writer.append(TestBatch(Int64(number), byteCount: 600, using: &generator))
        }
        try writer.sync()
        let current = writer.currentSegment
        let bytes = try Data(contentsOf: folder.file(try #require(current)))
        try FileManager.default.removeItem(at: folder.file(try #require(current)))
        let renamed = SegmentName(epoch: 0x18, sequence: 1)
        try bytes.write(to: folder.file(renamed))
        let recovery = try folder.recover()
        #expect(recovery.damagedBatches == batches && recovery.batches == 0)
        #expect(folder.quarantined == [renamed.text])

        let hostile = SegmentName(epoch: 0x18, sequence: 2)
        try Data([UInt8](repeatElement([0x04, 0x22, 0x4D, 0x18], count: 4 << 20).joined())).write(
            to: folder.file(hostile))
        // Nothing says how many batches it was: it counts as one.
        #expect(try folder.recover().damagedBatches == 1)
        #expect(folder.quarantined.contains(hostile.text))
    }

    /// One bad sector costs the batches in it, and no other; nothing of the segment is written, and all of it is kept.
    @Test func aSectorThatTheDiskDoesNotGiveLosesOnlyItsBatches() throws {
        let folder = try SpillFolder()
        var generator = SeededGenerator(seed: 16)
        let batches = (1...6).map { TestBatch(Int64($0), byteCount: 30_000, noiseBytes: 25_000, using: &generator) }
        var writer = SpillWriter(fileSystem: folder.fileSystem, directoryID: 5, epoch: 0x17, limits: SpillLimits())
        var places: [SpilledBatch] = []
        for batch in batches { places.append(try writer.append(batch)) }
        try writer.sync()
        let failing = FailingFileSystem(folder.fileSystem)
        // Within the third batch's frames.
        let bad = (places[2].frameOffset + 9_000) / 4_096 * 4_096
        failing.unreadable = bad..<bad + 512
        let recovery = try SpillRecovery(fileSystem: failing)
        #expect(recovery.segments.flatMap(\.batches).map(\.summary.identity.sequence) == [1, 2, 4, 5, 6])
        #expect(recovery.damagedBatches == 1 && recovery.damagedRecords == batches[2].summary.recordCount)
        #expect(recovery.unreadableSegments == [places[0].segment])
        #expect(recovery.segments.first?.mustKeepInQuarantine == true && folder.quarantined.isEmpty)
        // What the disk gives at its second attempt is not lost.
        failing.readsToFail = 1
        failing.unreadable = nil
        let again = try SpillRecovery(fileSystem: failing, isReadOnly: true)
        #expect(again.batches == 6 && again.damagedBatches == 0 && again.unreadableSegments.isEmpty)
        // And a segment of which it gives nothing is left where it is.
        failing.unreadable = 0..<1 << 30
        let nothing = try SpillRecovery(fileSystem: failing)
        #expect(nothing.segments.isEmpty && nothing.unreadableSegments == [places[0].segment])
        #expect(nothing.damagedBatches == 1)
        failing.unreadable = nil
        #expect(try SpillRecovery(fileSystem: failing).batches == 6)
    }
}
