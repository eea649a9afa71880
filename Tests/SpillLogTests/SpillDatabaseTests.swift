// Which database a spill belongs to, and what is done with batches for another one.

import Delivery
import Foundation
import Testing

@testable import SpillLog

struct SpillDatabaseTests {
    private func spill(_ folder: SpillFolder, epoch: UInt64, _ numbers: ClosedRange<Int64>) throws {
        var writer = SpillWriter(
            fileSystem: folder.fileSystem, directoryID: folder.directory.directoryID, epoch: epoch,
            limits: SpillLimits())
        var generator = SeededGenerator(seed: epoch)
        for number in numbers { _ = try writer.append(TestBatch(number, byteCount: 5_000, using: &generator)) }
        _ = try writer.endSegment()
    }

    private func segments(_ path: String) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: path).count { SegmentName($0) != nil }
    }

    @Test func batchesForAnotherDatabaseAreSetAsideAsASpillOfTheirOwn() throws {
        let folder = try SpillFolder()
        #expect(try folder.directory.claim(for: "one", takesUnknown: true) == nil)
        try spill(folder, epoch: 1, 1...3)
        #expect(try folder.directory.claim(for: "one", takesUnknown: true) == nil)
        #expect(try segments(folder.path) == 1)
        let aside = try #require(try folder.directory.claim(for: "two", takesUnknown: true))
        #expect(aside.path == folder.path + "/other-1" && aside.database == "one")
        #expect(try folder.recover().batches == 0 && folder.directory.database == "two")
        // It can be imported, by whoever waits for the same transactions.
        let opened = try SpillDirectory.open(aside.path)
        #expect(opened.directoryID == folder.directory.directoryID && opened.database == "one")
        #expect(try SpillRecovery(fileSystem: opened.fileSystem).batches == 3)
        // While it is imported, more of it goes elsewhere.
        try spill(folder, epoch: 2, 4...4)
        #expect(try folder.directory.claim(for: "one", takesUnknown: true)?.path == folder.path + "/other-2")
        try spill(folder, epoch: 3, 5...5)
        #expect(try folder.directory.claim(for: "three", takesUnknown: true)?.path == folder.path + "/other-3")
        let found = SpillSearch(below: [folder.path], except: folder.path).found
        #expect(found.map(\.database) == ["two", "one"], "the one that is open is not stranded")
        #expect(found.map(\.batches) == [1, 1] && found.allSatisfy(\.isStranded))
        withExtendedLifetime(opened) {}
    }

    /// Taken for unrecorded ones, its batches would go into whatever database comes next.
    @Test func aRecordThatCannotBeReadIsNoMissingOne() throws {
        let folder = try SpillFolder()
        _ = try folder.directory.claim(for: "one", takesUnknown: true)
        try spill(folder, epoch: 1, 1...3)
        let record = folder.path + "/database"
        try FileManager.default.removeItem(atPath: record)
        try FileManager.default.createDirectory(atPath: record, withIntermediateDirectories: false)
        #expect(throws: SpillError.self) { try folder.directory.claim(for: "two", takesUnknown: true) }
        #expect(folder.directory.database == nil)
        try FileManager.default.removeItem(atPath: record)
        #expect(try segments(folder.path) == 1)
    }

    @Test func whatWasSetAsideIsTakenBackWithItsDatabase() throws {
        let folder = try SpillFolder()
        _ = try folder.directory.claim(for: "one", takesUnknown: true)
        try spill(folder, epoch: 1, 1...3)
        _ = try folder.directory.claim(for: "a slip", takesUnknown: true)
        try spill(folder, epoch: 2, 4...4)
        #expect(try folder.directory.claim(for: "one", takesUnknown: true)?.database == "a slip")
        #expect(try folder.recover().batches == 3)
        let found = SpillSearch(below: [folder.path], except: folder.path).found
        #expect(found.map(\.database) == ["a slip"])
    }

    @Test func whatNamesNoDatabaseIsTakenUnlessItWouldBeDiscarded() throws {
        let folder = try SpillFolder()
        try spill(folder, epoch: 1, 1...2)
        let aside = try #require(try folder.directory.claim(for: "discard", takesUnknown: false))
        #expect(aside.database == nil)
        #expect(try segments(aside.path) == 1)
        let other = try SpillFolder()
        try spill(other, epoch: 1, 1...2)
        #expect(try other.directory.claim(for: "one", takesUnknown: true) == nil)
        #expect(try other.recover().batches == 2 && other.directory.database == "one")
    }

    @Test func aMoveThatWasInterruptedIsFinishedByTheNextStart() throws {
        let folder = try SpillFolder()
        _ = try folder.directory.claim(for: "one", takesUnknown: true)
        try spill(folder, epoch: 1, 1...2)
        try spill(folder, epoch: 2, 3...4)
        // One of two segments was moved, and the record is still that of the database before.
        let aside = try #require(try folder.directory.claim(for: "two", takesUnknown: true))
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: aside.path).first { SegmentName($0) != nil })
        #expect(rename(aside.path + "/" + name, folder.path + "/" + name) == 0)
        try SpillDirectory.record("one", in: folder.path)
        let again = try #require(try folder.directory.claim(for: "two", takesUnknown: true))
        #expect(again.path == aside.path)
        #expect(try segments(again.path) == 2 && segments(folder.path) == 0)
    }
}
