// When a frame is full, what a refused record leaves behind, and what no frame can carry.

import FrameCodec
import Foundation
import MetricKinds
import Testing

@Suite struct FrameEncoderTests {
    private let seed = testSeed(ProcessInfo.processInfo.environment)

    private func routing(_ index: Int) -> RoutingRecord {
        RoutingRecord(
            time: 1_795_377_900_000_000 + Int64(index) * 1_000, queryID: "query_\(1_000_000 + index)",
            queryText: "text \(index % 50) of those that come again", complexityScore: Float(index) / 100,
            modelSelected: index % 2 == 0 ? "phi-mini" : "large-20b", routingTimeMs: Int32(index % 40),
            userIntent: "intent \(index % 7)")
    }

    @Test func `an encoder without records has no frame`() {
        let encoder = TestEncoder()
        #expect(encoder.finished() == nil)
        #expect(encoder.recordCount == 0)
    }

    @Test(arguments: [256, 300, 700, 1_400, 9_000, 65_507])
    func `frames come close to their target and never pass it`(target: Int) throws {
        let encoder = TestEncoder(frameBytesTarget: target)
        var sizes: [Int] = []
        var decoded = 0
        for index in 0..<2_000 where try !encoder.append(routing(index)) {
            let bytes = try encoder.frame()
            sizes.append(bytes.count)
            decoded += try decodeFrame(bytes).visitor.records.count
            #expect(try encoder.append(routing(index)))
        }
        let rest = try decodeFrame(encoder.frame()).visitor.records.count
        #expect(decoded + rest == 2_000)
        #expect(sizes.allSatisfy { $0 <= target && $0 > target - 200 })
    }

    @Test(arguments: [1, 2, 17])
    func `a frame is full at its number of records`(recordsMax: Int) throws {
        let encoder = TestEncoder(recordsMax: recordsMax)
        for _ in 0..<recordsMax { #expect(try encoder.append(point(1))) }
        #expect(try !encoder.append(point(1)))
        #expect(encoder.recordCount == recordsMax)
        #expect(try decodeFrame(encoder.frame()).visitor.records.count == recordsMax)
        #expect(try encoder.append(point(1)))
    }

    @Test func `a record that did not fit leaves no trace in dictionary, prefixes and numbers`() throws {
        var random = RandomRecords(seed: seed)
        let records = (0..<3_000).map { _ in random.record() }
        let encoder = TestEncoder(frameBytesTarget: 4_000)
        var batch: [AnyRecord] = []
        for record in records {
            if try encoder.append(record) {
                batch.append(record)
                continue
            }
            // A second refusal must not change anything either.
            #expect(try !encoder.append(record), "seed \(seed)")
            let bytes = try encoder.frame()
            let fresh = TestEncoder(frameBytesTarget: 4_000)
            for record in batch { #expect(try fresh.append(record), "seed \(seed)") }
            #expect(bytes == fresh.finished(), "seed \(seed)")
            let expected = batch.map { CollectedRecord($0) }.sortedByKind()
            #expect(try decodeFrame(bytes).visitor.records == expected, "seed \(seed)")
            #expect(try encoder.append(record), "seed \(seed)")
            batch = [record]
        }
    }

    @Test func `a record that is refused for its content leaves no trace`() throws {
        let bad: [RoutingRecord] = [
            RoutingRecord(time: 2, queryID: "query_3", queryText: "new", modelSelected: "a\0b"),
            RoutingRecord(time: 2, queryID: "query\0", queryText: "new"),
            RoutingRecord(time: 2, queryID: "q", domainDetected: String(repeating: "x", count: 65_537)),
            RoutingRecord(time: FrameLimits.timeRange.lowerBound - 1),
            RoutingRecord(time: 2, queryText: "new", tags: ["new key": "a\0"]),
            RoutingRecord(time: 2, tags: Tags((0..<257).map { Tags.Pair(key: "\($0)", value: "") })),
        ]
        let good = [
            RoutingRecord(time: 1, queryID: "query_1", queryText: "a"),
            RoutingRecord(time: 2, queryID: "query_2", queryText: "b", tags: ["k": "v"]),
        ]
        let clean = TestEncoder()
        let tried = TestEncoder()
        func tryBad() throws {
            for record in bad {
                #expect(throws: RecordError.self) { try tried.append(record) }
            }
        }
        for record in good {
            try tryBad()
            #expect(try clean.append(record))
            #expect(try tried.append(record))
        }
        try tryBad()
        #expect(tried.recordCount == 2)
        #expect(tried.finished() == clean.finished())
    }

    @Test func `errors say what a record has too much of`() {
        let encoder = TestEncoder()
        #expect(throws: RecordError.textTooLong(bytes: 65_537)) {
            try encoder.append(point(1, String(repeating: "x", count: 65_537)))
        }
        #expect(throws: RecordError.nullCharacter) { try encoder.append(point(1, "\0")) }
        #expect(throws: RecordError.tooManyTags(257)) {
            try encoder.append(
                PointRecord(time: 1, tags: Tags((0..<257).map { Tags.Pair(key: "\($0)", value: "") })))
        }
        let early = FrameLimits.timeRange.lowerBound - 1
        #expect(throws: RecordError.timeOutOfRange(early)) { try encoder.append(point(early)) }
        #expect(throws: RecordError.invalidUTF8) {
            var encoder = FrameEncoder()
            _ = try encoder.append(.point, time: 1) { (writer) throws(RecordError) in
                let bytes: [UInt8] = [0x61, 0xFF]
                try writer.text(bytes.span.bytes, bit: 3)
            }
        }
        #expect(encoder.finished() == nil)
    }

    @Test func `a record over the target gets a frame of its own, one over the maximum gets none`() throws {
        let encoder = TestEncoder(frameBytesTarget: 1_400, frameBytesMax: 5_000)
        let large = point(1, String(repeating: "x", count: 4_000))
        #expect(try encoder.append(point(1)))
        #expect(try !encoder.append(large))
        _ = encoder.finished()
        #expect(try encoder.append(large))
        #expect(try !encoder.append(point(1)))
        #expect(try encoder.frame().count > 4_000)
        let tooLarge = point(1, String(repeating: "x", count: 5_000))
        #expect(throws: RecordError.self) { try encoder.append(tooLarge) }
        #expect(encoder.finished() == nil)
        #expect(try encoder.append(point(1)))
    }

    @Test func `a frame has room to its last byte`() throws {
        var sizes: Set<Int> = []
        for length in 900..<1_000 {
            let encoder = TestEncoder(frameBytesTarget: 1_000, frameBytesMax: 1_000)
            do throws(RecordError) {
                #expect(try encoder.append(point(0, String(repeating: "x", count: length))))
            } catch {
                // Header 52, dictionary 3 and the text, block 5, record 4.
                #expect(error == .recordTooLarge(bytes: 64 + length, limit: 1_000))
                continue
            }
            sizes.insert(try encoder.frame().count)
        }
        #expect(sizes.max() == 1_000)
    }

    /// What was refused would have been over the target, to the byte, whatever the lengths of lengths are.
    @Test(arguments: [600, 1_400, 20_000, 140_000])
    func `a frame ends with the last record that fits`(_ target: Int) throws {
        var random = RandomRecords(seed: seed)
        let small = TestEncoder(frameBytesTarget: target)
        var records: [AnyRecord] = []
        var refusals = 0
        var seen = 0
        while refusals < (target > 10_000 ? 8 : 200), seen < 200_000 {
            seen += 1
            let record = random.record()
            if try small.append(record) {
                records.append(record)
                continue
            }
            refusals += 1
            let frame = try small.frame()
            #expect(records.count == 1 || frame.count <= target, "seed \(seed)")
            let large = TestEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
            for record in records { #expect(try large.append(record)) }
            // Otherwise it was refused for another reason than its size.
            if try large.append(record) { #expect(try large.frame().count > target, "seed \(seed)") }
            records = []
            if try small.append(record) { records.append(record) }
        }
        #expect(refusals > 3)
    }

    @Test func `a time difference over 64 bits begins a new frame`() throws {
        let encoder = TestEncoder()
        #expect(try encoder.append(point(.max)))
        #expect(try !encoder.append(point(FrameLimits.timeRange.lowerBound)))
        // Another kind counts from the base time, which is as far away.
        #expect(try !encoder.append(SystemRecord(time: FrameLimits.timeRange.lowerBound)))
        #expect(try encoder.append(point(0)))
        #expect(try encoder.append(point(FrameLimits.timeRange.lowerBound)))
        let records = try decodeFrame(encoder.frame()).visitor.records
        #expect(records.map(\.time) == [.max, 0, FrameLimits.timeRange.lowerBound])
    }

    @Test func `records in reverse order keep their times`() throws {
        let encoder = TestEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        for index in 0..<500 { #expect(try encoder.append(point(1_000_000 - Int64(index) * 977))) }
        let records = try decodeFrame(encoder.frame()).visitor.records
        #expect(records.map(\.time) == (0..<500).map { 1_000_000 - Int64($0) * 977 })
    }

    @Test func `a full dictionary ends the frame for new texts only`() throws {
        let encoder = TestEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        for index in 0..<8_192 {
            #expect(
                try encoder.append(PointRecord(time: 0, metricName: "name \(index)", valueText: "value \(index)")))
        }
        #expect(try !encoder.append(point(0, "a new one")))
        #expect(try encoder.append(point(0, "name 8191")))
        let bytes = try encoder.frame()
        #expect(try decodeFrame(bytes).visitor.records.count == 8_193)
        #expect(try encoder.append(point(0, "a new one")))
    }

    @Test func `a frame ends before its texts are over 16 times its payload`() throws {
        let text = String(repeating: "x", count: 10_000)
        let encoder = TestEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        var count = 0
        while try encoder.append(point(0, text)) { count += 1 }
        #expect(count == 16)
        #expect(try decodeFrame(encoder.frame()).visitor.records.count == 16)
        let pairs = (0..<20).map { Tags.Pair(key: "\($0)", value: text) }
        #expect(throws: RecordError.expansionTooLarge) { try encoder.append(PointRecord(time: 0, tags: Tags(pairs))) }
        #expect(encoder.finished() == nil)
    }

    @Test func `a frame can have as many records as the limit says`() throws {
        let encoder = TestEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        for _ in 0..<FrameLimits.recordsPerFrameMax { #expect(try encoder.append(point(0))) }
        #expect(try !encoder.append(point(0)))
        let bytes = try encoder.frame()
        #expect(try decodeFrame(bytes).visitor.records.count == FrameLimits.recordsPerFrameMax)
    }

    @Test func `records that were dropped are in no frame`() throws {
        let encoder = TestEncoder()
        #expect(try encoder.append(routing(1)))
        encoder.removeAll()
        #expect(encoder.finished() == nil)
        #expect(try encoder.append(routing(2)))
        let fresh = TestEncoder()
        #expect(try fresh.append(routing(2)))
        #expect(encoder.finished() == fresh.finished())
    }

    @Test func `identity and base time are in the header`() throws {
        let encoder = TestEncoder()
        #expect(try encoder.append(point(77)))
        let identity = FrameIdentity(source: .max, session: 3, sequence: 1 << 63)
        let header = try decodeFrame(encoder.frame(identity)).header
        #expect(header.identity == identity)
        #expect(header.baseTime == 77)
        #expect(header.recordCount == 1)
        #expect(!header.isAuthenticated)
    }

    @Test func `every NaN becomes the one of the protocol`() throws {
        let encoder = TestEncoder()
        #expect(
            try encoder.append(
                PointRecord(time: 0, value: Double(nan: 5, signaling: true), tags: [:])))
        #expect(try encoder.append(SystemRecord(time: 0, errorRate: -Float.nan)))
        let records = try decodeFrame(encoder.frame()).visitor.records
        #expect(records[0].values[8] == .float32(0x7FC0_0000))
        #expect(records[1].values[2] == .float64(0x7FF8_0000_0000_0000))
    }

    @Test func `random records of all kinds come back as they were`() throws {
        var random = RandomRecords(seed: seed)
        let records = (0..<2_000).map { _ in random.record() }
        var found: [CollectedRecord] = []
        for bytes in try encodeFrames(records) { found += try decodeFrame(bytes).visitor.records }
        // One frame at a time is sorted by kind: compare kind by kind.
        for kind in MetricKind.allCases {
            let expected = records.filter { $0.kind == kind }.map { CollectedRecord($0) }
            #expect(found.filter { $0.kind == kind } == expected, "seed \(seed)")
        }
    }
}

extension [CollectedRecord] {
    /// In the order of blocks; the records of a kind keep theirs.
    func sortedByKind() -> [CollectedRecord] {
        MetricKind.allCases.flatMap { kind in filter { $0.kind == kind } }
    }
}
