import Testing

@testable import Listeners

@Suite struct DropCounterTests {
    @Test func countsEachDropOnceWhicheverWayItIsReported() {
        var counter = DropCounter()
        #expect(counter.observe(5) == 5)
        #expect(counter.observe(5) == 0)
        // A reading from when an older datagram was queued.
        #expect(counter.observe(3) == 0)
        #expect(counter.observe(9) == 4)
    }

    @Test func goesOnBehindTheWrap() {
        var counter = DropCounter()
        var total = 0
        for reading in [0x4000_0000, 0x8000_0000, 0xC000_0000, 0xFFFF_FFFF, 0x0000_0003, 0xFFFF_FFFE] as [UInt32] {
            total += counter.observe(reading)
        }
        #expect(total == 0x1_0000_0003)
    }
}
