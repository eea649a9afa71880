// protocol/vectors/spill.json against the recovery, and the reference reader against segments that are written here.

import CChecksum
import Delivery
import Foundation
import Testing

@testable import SpillLog

/// A case of `spill.json`.
struct SpillVector: Decodable, CustomTestStringConvertible, Sendable {
    struct Session: Decodable, Equatable, Sendable {
        let source: UInt64
        let session: UInt64
        let ranges: [[UInt64]]
    }

    struct Batch: Decodable, Sendable {
        let epoch: Int64
        let sequence: Int64
        let records: Int
        let frames: Int
        let bytes: Int
        let crc32c_of_frames: UInt32
        let opened: Int64
        let sessions: [Session]
        /// A digit for each frame; nil where the record does not say it.
        let acknowledged: String?
    }

    struct Place: Decodable, Equatable, Sendable {
        var offset: Int
        var length: Int
    }

    let name: String
    let file: String
    let hex: [String]
    let sealed: Bool
    let batches: [Batch]
    let damage: [Place]
    let torn_at: Int?

    var testDescription: String { name }

    var bytes: [UInt8] {
        let digits = Array(hex.joined().utf8).map { $0 <= 57 ? $0 - 48 : $0 - 87 }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "protocol/vectors")

    static let all: [SpillVector] = {
        do {
            return try JSONDecoder().decode(
                [SpillVector].self, from: Data(contentsOf: folder.appending(path: "spill.json")))
        } catch {
            print("spill.json: \(error)")
            return []
        }
    }()
}

struct SpillVectorTests {
    @Test func theVectorsAreThere() { #expect(SpillVector.all.count >= 100) }

    @Test(arguments: SpillVector.all)
    func aSegmentIsReadAsTheSpecificationSays(_ vector: SpillVector) throws {
        let folder = try SpillFolder()
        let name = try #require(SegmentName(vector.file))
        let file = folder.file(name)
        try Data(vector.bytes).write(to: file)
        chmod(file.path, 0o600)
        let recovery = try folder.recover(isReadOnly: true)
        let segment = try #require(recovery.segments.first)
        var places = segment.damage.filter { !$0.isTail }.map {
            SpillVector.Place(offset: $0.offset, length: $0.byteCount)
        }
        let found = try folder.contents(recovery)
        // What cannot be decompressed shows when it is read for the database.
        for batch in segment.batches where found[batch.summary.identity] == nil {
            places.append(.init(offset: batch.headerOffset, length: batch.diskBytes))
        }
        #expect(Self.joined(places) == vector.damage)
        #expect(segment.damage.first { $0.isTail }?.offset == vector.torn_at)
        #expect(segment.isSealed == vector.sealed)
        let intact = segment.batches.filter { found[$0.summary.identity] != nil }
        #expect(intact.count == vector.batches.count)
        for (batch, expected) in zip(intact, vector.batches) {
            let summary = batch.summary
            #expect(summary.identity == BatchIdentity(epoch: expected.epoch, sequence: expected.sequence))
            #expect(summary.recordCount == expected.records && summary.frameCount == expected.frames)
            #expect(summary.byteCount == expected.bytes && summary.openedMicroseconds == expected.opened)
            let sessions = summary.sessions.map { frames in
                SpillVector.Session(
                    source: frames.key.source, session: frames.key.session,
                    ranges: frames.sequences.ranges.map { [$0.lowerBound, $0.upperBound] })
            }
            #expect(sessions == expected.sessions)
            let flags = summary.acknowledged.map { flags in
                (0..<flags.count).map { flags[$0] ? "1" : "0" }.joined()
            }
            #expect(flags == expected.acknowledged)
            let bytes = found[summary.identity] ?? []
            #expect(bytes.withUnsafeBytes { spillway_crc32c(0, $0.baseAddress, $0.count) } == expected.crc32c_of_frames)
        }
        // Put in order, all that is intact is still there and nothing is torn any more.
        _ = try folder.recover()
        let again = try folder.recover()
        #expect(try folder.contents(again) == found)
        #expect(again.tornTails == 0)
    }

    /// Places that touch are one.
    private static func joined(_ places: [SpillVector.Place]) -> [SpillVector.Place] {
        places.sorted { $0.offset < $1.offset }.reduce(into: []) { joined, place in
            if let last = joined.last, last.offset + last.length == place.offset {
                joined[joined.count - 1].length += place.length
            } else {
                joined.append(place)
            }
        }
    }

    @Test func theReferenceReaderFindsWhatIsWrittenHere() throws {
        let folder = try SpillFolder()
        var generator = SeededGenerator(seed: 7)
        let batches = (1...6).map { TestBatch(Int64($0), byteCount: 40_000 * $0, using: &generator, sessions: $0 % 3) }
        var writer = SpillWriter(
            fileSystem: folder.fileSystem, directoryID: 5, epoch: 0x17, limits: SpillLimits())
        for batch in batches { _ = try writer.append(batch) }
        let ended = try writer.endSegment()
        let name = try #require(ended)
        let described = try Self.run(["spill_reference.py", folder.file(name).path])
        let object = try #require(try JSONSerialization.jsonObject(with: described) as? [String: Any])
        #expect((object["batches"] as? [Any])?.count == batches.count)
        #expect(object["sealed"] as? Bool == true)
        let frames = try Self.run(["spill_reference.py", "--cat", folder.file(name).path])
        #expect(frames == Data(batches.flatMap(\.bytes)))
    }

    @Test func theVectorsAreWhatTheirCasesMake() throws {
        _ = try Self.run(["spill_cases.py", "--check"])
    }

    private static func run(_ arguments: [String]) throws -> Data {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.currentDirectoryURL = SpillVector.folder
        process.arguments = ["python3", "-B"] + arguments
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(arguments)")
        return data
    }
}
