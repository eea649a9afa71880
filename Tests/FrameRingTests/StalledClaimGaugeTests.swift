import Testing

@testable import FrameRing

@Suite struct StalledClaimGaugeTests {
    @Test func `an open claim at the head ages from the first poll that saw it`() throws {
        let ring = FrameRing(capacityBytes: 1024)
        var consumer = ring.takeConsumer()
        var gauge = StalledClaimGauge(ring: ring)
        #expect(gauge.ageNanoseconds(nowNanoseconds: 100) == 0, "an empty ring is not stalled")
        let claim = try ring.claim(recordCount: 1, payloadBytes: 1)
        #expect(gauge.ageNanoseconds(nowNanoseconds: 1_000) == 0)
        #expect(gauge.ageNanoseconds(nowNanoseconds: 6_000) == 5_000)
        #expect(ring.refusal(of: [1]) == nil)
        #expect(gauge.ageNanoseconds(nowNanoseconds: 7_000) == 6_000, "what is published behind it changes nothing")
        claim.publish()
        #expect(gauge.ageNanoseconds(nowNanoseconds: 8_000) == 0)
        #expect(consumer.take(from: ring).count == 1)
        #expect(gauge.ageNanoseconds(nowNanoseconds: 9_000) == 0)
    }

    @Test func `the next open claim has an age of its own`() throws {
        let ring = FrameRing(capacityBytes: 1024)
        var consumer = ring.takeConsumer()
        var gauge = StalledClaimGauge(ring: ring)
        let first = try ring.claim(recordCount: 1, payloadBytes: 1)
        let second = try ring.claim(recordCount: 1, payloadBytes: 1)
        #expect(gauge.ageNanoseconds(nowNanoseconds: 10) == 0)
        first.publish()
        #expect(consumer.take(from: ring) == [])
        #expect(gauge.ageNanoseconds(nowNanoseconds: 50) == 0)
        #expect(gauge.ageNanoseconds(nowNanoseconds: 70) == 20)
        second.publish()
    }

    @Test func `a clock that steps back starts again instead of trapping`() throws {
        let ring = FrameRing(capacityBytes: 1024)
        var gauge = StalledClaimGauge(ring: ring)
        let claim = try ring.claim(recordCount: 1, payloadBytes: 1)
        #expect(gauge.ageNanoseconds(nowNanoseconds: 100) == 0)
        #expect(gauge.ageNanoseconds(nowNanoseconds: 50) == 0)
        #expect(gauge.ageNanoseconds(nowNanoseconds: 60) == 10)
        claim.publish()
    }
}
