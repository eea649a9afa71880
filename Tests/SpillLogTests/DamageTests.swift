// Damage of every kind: no changed byte is ever delivered, at most the batch that was hit is missing and it is counted, all
// others are delivered, and a second recovery finds the same.

import Delivery
import Foundation
import Testing

@testable import SpillLog

@Suite(.serialized) struct DamageTests {
    private static let isLong = ProcessInfo.processInfo.environment["SPILLWAY_TORTURE"] == "1"

    /// A segment on disk that is damaged again and again.
    private final class Subject {
        let folder: SpillFolder
        let batches: [TestBatch]
        let name: SegmentName
        let intact: [UInt8]
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
        }

        /// - Parameters:
        ///   - lostMax: batches that may be missing.
        ///   - isEndOfBatch: the bytes end where a batch ends: nobody can see that there was more.
        func check(_ bytes: [UInt8], lostMax: Int, isEndOfBatch: Bool = false, _ what: @autoclosure () -> String) throws
        {
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
}
