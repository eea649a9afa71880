// Frames that stay unacknowledged do not keep the memory of those after them.

import Testing

@testable import SpillwayClient

@Suite(.timeLimit(.minutes(2))) struct PinnedFramesTests {
    @Test func oneFrameWithoutAnAcknowledgementDropsNoOthers() throws {
        let collector = try MemoryCollector(.init(acknowledges: { $0 != 2 }))
        let client = try MetricsClient(
            to: collector.address, identity: SourceIdentity(name: "test"),
            options: MetricsClientOptions(
                bufferRecordsMax: 100, flushIntervalSeconds: 0.05, unacknowledgedBytesMax: 1 << 20,
                closeTimeoutSeconds: 0.2))
        let text = String(repeating: "x", count: 200)
        // Several times the memory.
        for round in 0..<100 as Range<UInt64> {
            for index in 0..<500 {
                client.record(
                    RoutingRecord(time: 1, queryID: "\(round) \(index)", queryText: "\(round) \(index) " + text))
            }
            let last = client.statistics
            try #require(
                eventually(withinMilliseconds: 5_000) {
                    client.flush()
                    return client.statistics.recordsWaiting <= 100 || client.statistics.recordsDropped > 0
                }, "\(last)")
            if client.statistics.recordsDropped > 0 { break }
        }
        let totals = client.statistics
        print("sent \(totals.recordsSent), waiting \(totals.recordsWaiting), bytes \(totals.bytesSent)")
        #expect(totals.recordsDropped == 0)
        #expect(totals.recordsRecorded == 50_000)
        #expect(totals.bytesSent > 4 << 20)
        client.close()
        _ = collector.stop()
    }

    /// Every connection's bytes are whole frames in their order, whatever is acknowledged and taken out meanwhile.
    @Test func whatIsWrittenIsWholeWhateverIsTakenOut() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SeededNumbers(state: seed)
        var frames = UnacknowledgedFrames(bytesMax: FrameLimits.frameBytesMax, framesMax: 64)
        var open: [UInt64: Int] = [:]
        var sequence: UInt64 = 0
        var stream: [UInt8] = []
        var written: Set<UInt64> = []
        for _ in 0..<40_000 {
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<6:
                let size = Int.random(in: 1...40_000, using: &random)
                if frames.isFull(for: size) { frames.removeDoneBetween() }
                guard size >= 12, !frames.isFull(for: size) else { continue }
                sequence += 1
                open[sequence] = size
                frames.append(Self.frame(sequence, size).span.bytes, sequence: sequence, recordCount: 1)
            case 6..<14:
                let limit = Int.random(in: 1...100_000, using: &random)
                let count = frames.withNextBytes(atMost: limit) { bytes in
                    bytes.withUnsafeBytes { stream.append(contentsOf: $0) }
                    return bytes.byteCount
                }
                if let count { _ = frames.advance(count) }
                Self.takeWhole(&stream, &written)
            case 14..<18:
                guard let chosen = open.keys.sorted().randomElement(using: &random) else { continue }
                open[chosen] = nil
                #expect(frames.acknowledge(SequenceRanges([chosen..<chosen + 1])).frames == 1)
            case 18: frames.removeDoneBetween()
            default:
                guard Int.random(in: 0..<50, using: &random) == 0 else { continue }
                frames.rewind()
                stream = []
                written = []
            }
            #expect(frames.frameCount == open.count)
        }
        while let count = frames.withNextBytes(
            atMost: 1 << 20,
            { bytes in
                bytes.withUnsafeBytes { stream.append(contentsOf: $0) }
                return bytes.byteCount
            })
        {
            _ = frames.advance(count)
        }
        Self.takeWhole(&stream, &written)
        #expect(stream.isEmpty)
        #expect(written.isSuperset(of: open.keys))
        #expect(frames.oldestSequence == open.keys.min())
    }

    /// Its sequence and size, then a run of one byte.
    private static func frame(_ sequence: UInt64, _ size: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for shift in 0..<8 as Range<UInt64> { bytes.append(UInt8(truncatingIfNeeded: sequence >> (8 * shift))) }
        for shift in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: size >> (8 * shift))) }
        return bytes + [UInt8](repeating: UInt8(truncatingIfNeeded: sequence), count: size - 12)
    }

    private static func takeWhole(_ stream: inout [UInt8], _ written: inout Set<UInt64>) {
        while stream.count >= 12 {
            let sequence = stream[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let size = stream[8..<12].reversed().reduce(0) { $0 << 8 | Int($1) }
            guard stream.count >= size else { return }
            #expect(Array(stream[..<size]) == frame(sequence, size))
            #expect(sequence > written.max() ?? 0)
            written.insert(sequence)
            stream.removeFirst(size)
        }
    }
}

/// A linear generator: the same numbers for the same seed.
private struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 31
    }
}
