import Synchronization
import Testing

@testable import FrameRing

@Suite struct ConsumerTests {
    struct Stop: Error, Equatable {}

    let ring = FrameRing(capacityBytes: 1024)

    /// A batch of three records, then a single one.
    func fill() throws {
        var claim = try ring.claim(recordCount: 3, payloadBytes: 3, tag: 1)
        for value in 1...3 as ClosedRange<UInt8> { claim.append([value].span.bytes) }
        claim.publish()
        try ring.append(bytes(1, of: 4).span.bytes, tag: 2)
    }

    @Test func `the maximum stops inside a batch and the next call goes on there`() throws {
        var consumer = ring.takeConsumer()
        try fill()
        #expect(consumer.take(maximumRecords: 2, from: ring).map(\.bytes) == [[1], [2]])
        #expect(ring.usedBytes == 128, "a batch is released as a whole")
        #expect(consumer.take(maximumRecords: 1, from: ring) == [Taken(bytes: [3], tag: 1)])
        #expect(ring.usedBytes == 64)
        #expect(consumer.take(maximumRecords: 1, from: ring) == [Taken(bytes: [4], tag: 2)])
        #expect(ring.consumedRecords == 4)
        #expect(ring.consumedClaims == 2)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt8>)
    func `a refused record is the first of the next call`(refused: UInt8) throws {
        var consumer = ring.takeConsumer()
        try fill()
        var seen: [UInt8] = []
        let taken = consumer.consume(maximumRecords: 9) { record, _ in
            seen.append(record.unsafeLoad(as: UInt8.self))
            return seen.last != refused
        }
        #expect(taken == Int(refused) - 1)
        #expect(seen == Array(1...refused))
        #expect(consumer.take(from: ring).map(\.bytes) == (refused...4).map { [$0] })
    }

    @Test(arguments: 1...4 as ClosedRange<UInt8>)
    func `a record over which the body throws is the first of the next call`(thrown: UInt8) throws {
        var consumer = ring.takeConsumer()
        try fill()
        var failure: Stop?
        do throws(Stop) {
            _ = try consumer.consume(maximumRecords: 9) { (record, _) throws(Stop) in
                if record.unsafeLoad(as: UInt8.self) == thrown { throw Stop() }
                return true
            }
        } catch {
            failure = error
        }
        #expect(failure == Stop())
        #expect(ring.consumedRecords == UInt64(thrown) - 1)
        #expect(consumer.take(from: ring).map(\.bytes) == (thrown...4).map { [$0] })
    }

    @Test func `a call ends after a lap, though its own body keeps the ring full`() throws {
        var consumer = ring.takeConsumer()
        try fill()
        var taken = 0
        taken = consumer.consume(maximumRecords: .max) { [ring] _, _ in
            ring.refusal(of: [1]) == nil
        }
        #expect(taken <= 1024 / FrameRing.unitBytes + 3)
        #expect(ring.usedBytes > 0)
    }
}

@Suite struct ConsumerWaitingTests {
    final class WakeCount: Sendable {
        let count = Atomic<Int>(0)
    }

    let wakes = WakeCount()
    let ring: FrameRing

    init() {
        ring = FrameRing(capacityBytes: 1024) { [wakes] in wakes.count.add(1, ordering: .relaxed) }
    }

    var wakeCount: Int { wakes.count.load(ordering: .relaxed) }

    @Test func `a waiting consumer is woken once`() {
        var consumer = ring.takeConsumer()
        #expect(ring.refusal(of: [1]) == nil)
        #expect(wakeCount == 0, "nobody waits")
        #expect(consumer.take(from: ring).count == 1)
        #expect(consumer.prepareToWait() == FrameRing.waitMillisecondsEmpty)
        #expect(ring.refusal(of: [1]) == nil)
        #expect(ring.refusal(of: [1]) == nil)
        #expect(wakeCount == 1)
        #expect(consumer.take(from: ring).count == 2)
    }

    @Test func `nobody waits over what is published`() {
        var consumer = ring.takeConsumer()
        #expect(ring.refusal(of: [1]) == nil)
        #expect(consumer.prepareToWait() == nil)
        #expect(ring.refusal(of: [1]) == nil)
        #expect(wakeCount == 0)
    }

    @Test func `a wait over an open claim ends with its publication or its drop`() throws {
        var consumer = ring.takeConsumer()
        let claim = try ring.claim(recordCount: 1, payloadBytes: 1)
        #expect(consumer.prepareToWait() == FrameRing.waitMillisecondsOpenClaim)
        claim.publish()
        #expect(wakeCount == 1)
        #expect(consumer.take(from: ring) == [])
        do {
            _ = try ring.claim(recordCount: 1, payloadBytes: 1)
        }
        #expect(consumer.take(from: ring) == [])
        let dropped = try ring.claim(recordCount: 1, payloadBytes: 1)
        #expect(consumer.prepareToWait() == FrameRing.waitMillisecondsOpenClaim)
        _ = consume dropped
        #expect(wakeCount == 2)
    }

    @Test func `a wait that timed out is over with the next look`() {
        var consumer = ring.takeConsumer()
        #expect(consumer.prepareToWait() == FrameRing.waitMillisecondsEmpty)
        #expect(consumer.take(from: ring) == [])
        #expect(ring.refusal(of: [1]) == nil)
        #expect(wakeCount == 0)
    }
}
