import Testing

@testable import FrameRing

@Suite struct FrameRingTests {
    static let capacityBytes = FrameRing.capacityBytesMinimum
    let ring = FrameRing(capacityBytes: capacityBytes)

    @Test func `hands out records in order, with their tag`() {
        var consumer = ring.takeConsumer()
        #expect(ring.refusal(of: [1, 2, 3], tag: 10) == nil)
        #expect(ring.refusal(of: bytes(64), tag: 11) == nil)
        #expect(ring.refusal(of: bytes(65), tag: .max) == nil)
        let expected = [
            Taken(bytes: [1, 2, 3], tag: 10), Taken(bytes: bytes(64), tag: 11), Taken(bytes: bytes(65), tag: .max),
        ]
        #expect(consumer.take(from: ring) == expected)
        #expect(consumer.take(from: ring) == [])
    }

    @Test func `an empty record is a record, alone and in a batch`() throws {
        var consumer = ring.takeConsumer()
        #expect(ring.refusal(of: []) == nil)
        var claim = try ring.claim(recordCount: 2, payloadBytes: 0, tag: 5)
        claim.append([UInt8]().span.bytes)
        claim.append([UInt8]().span.bytes)
        claim.publish()
        #expect(consumer.take(from: ring).map(\.bytes) == [[], [], []])
        #expect(ring.usedBytes == 0)
    }

    @Test func `nothing of a batch is seen before it is published`() throws {
        var consumer = ring.takeConsumer()
        var claim = try ring.claim(recordCount: 2, payloadBytes: 20, tag: 3)
        claim.append(bytes(10, of: 1).span.bytes)
        #expect(consumer.take(from: ring) == [])
        claim.append(bytes(10, of: 2).span.bytes)
        #expect(claim.recordCount == 2)
        #expect(ring.refusal(of: [9]) == nil)
        #expect(consumer.take(from: ring) == [], "what was claimed later waits for what was claimed first")
        claim.publish()
        #expect(consumer.take(from: ring).map(\.bytes) == [bytes(10, of: 1), bytes(10, of: 2), [9]])
    }

    @Test func `a claim that is partly filled hands over what was appended`() throws {
        var consumer = ring.takeConsumer()
        var claim = try ring.claim(recordCount: 6, payloadBytes: 100)
        claim.append(bytes(1, of: 1).span.bytes)
        claim.publish()
        let empty = try ring.claim(recordCount: 3, payloadBytes: 30)
        empty.publish()
        #expect(ring.refusal(of: [2]) == nil)
        #expect(consumer.take(from: ring).map(\.bytes) == [[1], [2]])
        #expect(ring.consumedClaims == 3)
        #expect(ring.abandonedClaims == 0)
    }

    @Test func `a claim that is dropped is skipped and counted`() throws {
        var consumer = ring.takeConsumer()
        do {
            var claim = try ring.claim(recordCount: 1, payloadBytes: 100)
            claim.append(bytes(1, of: 1).span.bytes)
        }
        #expect(ring.refusal(of: [2]) == nil)
        #expect(consumer.take(from: ring).map(\.bytes) == [[2]])
        #expect(ring.abandonedClaims == 1)
        #expect(ring.consumedClaims == 1)
        #expect(ring.consumedRecords == 1)
        #expect(ring.usedBytes == 0)
    }

    @Test func `a full ring refuses, to its last unit, and takes again what was released`() {
        var consumer = ring.takeConsumer()
        let units = ring.capacityBytes / FrameRing.unitBytes
        for index in 0..<units {
            #expect(ring.refusal(of: bytes(64, of: UInt8(index))) == nil)
        }
        #expect(ring.usedBytes == ring.capacityBytes)
        #expect(ring.refusal(of: []) == .full)
        #expect(consumer.take(maximumRecords: 1, from: ring).map(\.bytes) == [bytes(64, of: 0)])
        #expect(ring.refusal(of: bytes(65)) == .full)
        #expect(ring.refusal(of: bytes(64, of: 99)) == nil)
        #expect(ring.refusal(of: []) == .full)
        #expect(consumer.take(from: ring).count == units)
        #expect(ring.usedBytes == 0)
    }

    @Test func `what does not fit before the end starts again at the front`() {
        var consumer = ring.takeConsumer()
        // 16 units: after 14 of them, a record of 4 skips 2.
        for _ in 0..<14 { #expect(ring.refusal(of: bytes(64)) == nil) }
        #expect(consumer.take(from: ring).count == 14)
        #expect(ring.refusal(of: bytes(256, of: 5)) == nil)
        #expect(ring.usedBytes == 256 + 128)
        #expect(consumer.take(from: ring) == [Taken(bytes: bytes(256, of: 5), tag: 0)])
        #expect(ring.usedBytes == 0)
    }

    @Test func `padding needs room too`() {
        var consumer = ring.takeConsumer()
        for _ in 0..<14 { #expect(ring.refusal(of: bytes(64)) == nil) }
        #expect(consumer.take(maximumRecords: 3, from: ring).count == 3)
        #expect(ring.refusal(of: bytes(256)) == .full, "2 units of padding and 4 of record, 5 are free")
        #expect(ring.refusal(of: bytes(128)) == nil)
        #expect(ring.refusal(of: bytes(192)) == nil)
        #expect(ring.usedBytes == ring.capacityBytes)
        #expect(consumer.take(from: ring).count == 13)
    }

    @Test func `a claim over the maximum is refused as too large, however large`() {
        let maximum = ring.claimBytesMaximum
        #expect(maximum == Self.capacityBytes / FrameRing.claimsPerCapacityMinimum)
        #expect(ring.refusal(of: bytes(maximum)) == nil)
        #expect(ring.refusal(of: bytes(maximum + 1)) == .tooLarge)
        for (recordCount, payloadBytes) in [(1, maximum), (.max, 0), (0, .max), (.max, .max), (maximum / 4, 0)] {
            var failure: ClaimFailure?
            do throws(ClaimFailure) {
                let claim = try ring.claim(recordCount: recordCount, payloadBytes: payloadBytes)
                claim.publish()
            } catch {
                failure = error
            }
            #expect(failure == .tooLarge, "\(recordCount) records, \(payloadBytes) bytes")
            failure = nil
            do throws(ClaimFailure) {
                let claim = try ring.claim(recordCount: recordCount, recordBytes: payloadBytes)
                claim.publish()
            } catch {
                failure = error
            }
            #expect(failure == .tooLarge, "\(recordCount) records of \(payloadBytes) bytes each")
        }
        #expect(ring.usedBytes == maximum)
    }

    @Test func `any split of what was claimed fits`() throws {
        var consumer = ring.takeConsumer()
        for lengths in [[1, 1, 1, 1], [0, 0, 0, 4], [9, 17, 25, 33], [8, 8, 8, 8], [120]] {
            var claim = try ring.claim(recordCount: lengths.count, payloadBytes: lengths.reduce(0, +))
            for length in lengths { claim.append(bytes(length).span.bytes) }
            claim.publish()
            #expect(consumer.take(from: ring).map(\.bytes.count) == lengths)
        }
    }

    @Test func `records of one length take their room, their lengths and no more`() throws {
        let ring = FrameRing(capacityBytes: 1 << 16)
        var consumer = ring.takeConsumer()
        var claim = try ring.claim(recordCount: 64, recordBytes: 64, tag: 9)
        for value in 0..<64 as Range<UInt8> { claim.append(bytes(64, of: value).span.bytes) }
        claim.publish()
        // 64 lengths and their count are 260 bytes: five units.
        #expect(ring.usedBytes == (64 + 5) * 64)
        #expect(consumer.take(from: ring) == (0..<64).map { Taken(bytes: bytes(64, of: $0), tag: 9) })
        for recordBytes in [0, 1, 15, 16, 17, 100] {
            var claim = try ring.claim(recordCount: 5, recordBytes: recordBytes)
            let records = [recordBytes, 0, recordBytes, recordBytes / 2, recordBytes].map { bytes($0, of: UInt8($0)) }
            for record in records { claim.append(record.span.bytes) }
            claim.publish()
            #expect(consumer.take(from: ring).map(\.bytes) == records)
        }
    }

    @Test func `a record of any length is copied as it is and writes nothing beside it`() throws {
        for count in 0...300 {
            let ring = FrameRing(capacityBytes: 1 << 12)
            var consumer = ring.takeConsumer()
            let record = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) | 1 }
            try ring.append(record.span.bytes)
            let around = ring.storage.claimBytes(at: 0, extentBytes: 512)
            for offset in count..<512 {
                try #require(around.start.load(fromByteOffset: offset, as: UInt8.self) == 0, "\(count) bytes")
            }
            #expect(consumer.take(from: ring).map(\.bytes) == [record])
        }
    }

    @Test func `a commit word says what was written`() {
        let lengths = [0, 1, 63, 64, 65, 127, 128, 1 << 20, 1 << 28 - 1, 1 << 28]
        for lap in [0, 1, 1 << 32, 1 << 33 - 2] as [UInt64] {
            for kind in [.record, .batch, .padding, .abandoned] as [CommitWord.Kind] {
                for length in lengths {
                    let word = CommitWord(kind: kind, lengthBytes: length, lap: lap)
                    #expect(word.kind == kind)
                    #expect(word.lengthBytes == length)
                    #expect(word.extentBytes == UInt64(max(length + 63, 64) / 64 * 64))
                    #expect(word.belongs(toLap: lap))
                    #expect(!word.belongs(toLap: lap + 1))
                    #expect(!CommitWord(bits: 0).belongs(toLap: lap))
                }
            }
        }
    }

    @Test func `payload that looks like commit words publishes nothing`() throws {
        var consumer = ring.takeConsumer()
        for lap in 0..<20 {
            // Every word of every unit says: a record, published in this lap or the next.
            let words = (0..<UInt64(Self.capacityBytes / 4 / 8)).map { index in
                CommitWord(kind: .record, lengthBytes: 64, lap: UInt64(lap) + index % 2).bits
            }
            let forged = words.span.bytes
            for _ in 0..<4 {
                try ring.append(forged)
                #expect(consumer.take(from: ring).count == 1)
                #expect(consumer.take(from: ring) == [])
            }
            let claim = try ring.claim(recordCount: 1, payloadBytes: 100)
            #expect(consumer.take(from: ring) == [], "an open claim over forged words and words of the last lap")
            claim.publish()
            #expect(consumer.take(from: ring) == [])
            while ring.storage.offset(of: ring.storage.loadTail()) != 0 {
                try ring.append(bytes(1, of: 0).span.bytes)
                #expect(consumer.take(from: ring).count == 1)
            }
        }
    }

    @Test func `gauges say what is in the ring and what went through it`() {
        var consumer = ring.takeConsumer()
        #expect(ring.capacityBytes == Self.capacityBytes)
        #expect(ring.usedBytes == 0)
        #expect(ring.refusal(of: bytes(1)) == nil)
        #expect(ring.refusal(of: bytes(100)) == nil)
        #expect(ring.usedBytes == 64 + 128)
        #expect(ring.consumedRecords == 0)
        #expect(consumer.take(from: ring).count == 2)
        #expect(ring.usedBytes == 0)
        #expect(ring.consumedRecords == 2)
        #expect(ring.consumedClaims == 2)
    }
}

@Suite struct FrameRingMisuseTests {
    @Test func `a capacity that is no power of two in the limits traps`() async {
        await #expect(processExitsWith: .failure) { _ = FrameRing(capacityBytes: 1 << 9) }
        await #expect(processExitsWith: .failure) { _ = FrameRing(capacityBytes: 3 << 10) }
        await #expect(processExitsWith: .failure) { _ = FrameRing(capacityBytes: 1 << 31) }
    }

    @Test func `taking the consumer twice traps`() async {
        await #expect(processExitsWith: .failure) {
            let ring = FrameRing(capacityBytes: 1024)
            _ = ring.takeConsumer()
            _ = ring.takeConsumer()
        }
    }

    @Test func `appending beyond what was claimed traps`() async {
        await #expect(processExitsWith: .failure) {
            var claim = try FrameRing(capacityBytes: 1024).claim(recordCount: 1, payloadBytes: 8)
            claim.append([UInt8](repeating: 0, count: 128).span.bytes)
        }
        await #expect(processExitsWith: .failure) {
            let ring = FrameRing(capacityBytes: 1024)
            var claim = try ring.claim(recordCount: 1, payloadBytes: 64)
            claim.append([1].span.bytes)
            claim.append([1].span.bytes)
        }
    }

    @Test func `a claim that outlives its ring traps`() async {
        await #expect(processExitsWith: .failure) {
            var ring: FrameRing? = FrameRing(capacityBytes: 1024)
            let claim = try ring?.claim(recordCount: 1, payloadBytes: 8)
            ring = nil
            if let claim { claim.publish() }
        }
    }
}
