import FrameRing
import Testing

@Suite struct DifferentialTests {
    @Test(arguments: [1 << 10, 1 << 12, 1 << 16])
    func `random operations do what they do to an array`(capacityBytes: Int) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("differential test, capacity \(capacityBytes), seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let ring = FrameRing(capacityBytes: capacityBytes)
        var consumer = ring.takeConsumer()
        var model: [Taken] = []
        var abandoned: UInt64 = 0
        var refused = 0
        for _ in 0..<4_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<3:
                let record = randomRecord(maximumBytes: ring.claimBytesMaximum + 8, using: &random)
                let tag = random.next()
                switch ring.refusal(of: record, tag: tag) {
                case nil: model.append(Taken(bytes: record, tag: tag))
                case .tooLarge: #expect(record.count > ring.claimBytesMaximum)
                case .full: refused += 1
                }
            case 3..<6:
                let records = (0..<Int.random(in: 0...8, using: &random)).map { _ in
                    randomRecord(maximumBytes: ring.claimBytesMaximum / 8, using: &random)
                }
                let isFull = Bool.random(using: &random)
                let kept = isFull ? records.count : Int.random(in: 0...records.count, using: &random)
                let isDropped = Int.random(in: 0..<8, using: &random) == 0
                let tag = random.next()
                do throws(ClaimFailure) {
                    let payloadBytes = records.reduce(0) { $0 + $1.count }
                    let recordBytes = records.reduce(0) { max($0, $1.count) }
                    var claim =
                        isFull
                        ? try ring.claim(recordCount: records.count, recordBytes: recordBytes, tag: tag)
                        : try ring.claim(recordCount: records.count, payloadBytes: payloadBytes, tag: tag)
                    for record in records.prefix(kept) { claim.append(record.span.bytes) }
                    if isDropped {
                        abandoned += 1
                    } else {
                        claim.publish()
                        model.append(contentsOf: records.prefix(kept).map { Taken(bytes: $0, tag: tag) })
                    }
                } catch {
                    refused += 1
                }
            default:
                let maximum = Int.random(in: 1...6, using: &random)
                let taken = consumer.take(maximumRecords: maximum, from: ring)
                try #require(taken == Array(model.prefix(maximum)), "seed \(seed)")
                model.removeFirst(taken.count)
            }
            ring.checkInvariants()
        }
        while !model.isEmpty {
            let taken = consumer.take(from: ring)
            try #require(!taken.isEmpty && taken == Array(model.prefix(taken.count)), "seed \(seed)")
            model.removeFirst(taken.count)
        }
        #expect(consumer.take(from: ring) == [])
        #expect(ring.usedBytes == 0)
        #expect(ring.abandonedClaims == abandoned)
        #expect(refused > 0, "the test should fill its ring, seed \(seed)")
    }

    private func randomRecord(maximumBytes: Int, using random: inout SeededGenerator) -> [UInt8] {
        let count = Int.random(in: 0...maximumBytes, using: &random)
        let seed = random.next()
        return (0..<count).map { UInt8(truncatingIfNeeded: seed &+ UInt64($0)) }
    }
}
