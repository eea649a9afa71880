// When the drainer is told that a lane is free: it may be asleep with a batch that nobody adds to any more.

import Delivery
import Listeners
import Synchronization
import Testing

@testable import Collector

struct DeliveryHubTests {
    private final class Calls: Sendable {
        let count = Atomic(0)
        var value: Int { count.load(ordering: .relaxed) }
    }

    @Test func theDrainerIsToldEachTimeThatALaneHasBecomeFree() throws {
        let calls = Calls()
        let hub = DeliveryHub(
            limits: DeliveryPlan.Limits(slots: 4, lanes: 1, waitingMax: 1), batch: BatchLimits(),
            ledger: ConservationLedger(), desk: SessionDesk(book: SessionBook(hasStore: false)), epoch: 1,
            onFreeLane: { calls.count.add(1, ordering: .relaxed) })
        #expect(!hub.hasFreeLane)
        hub.laneConnected(0)
        #expect(hub.hasFreeLane)
        #expect(calls.value == 1)
        for round in 1...3 {
            let open = try #require(hub.openBatch(timeoutMilliseconds: 0))
            hub.close(open.slot, sequence: Int64(round))
            // It waits for this lane.
            #expect(!hub.hasFreeLane)
            #expect(hub.work(forLane: 0, timeoutMilliseconds: 0) != nil)
            #expect(!hub.hasFreeLane)
            #expect(calls.value == round)
            // The batch goes to the spill, and the lane has nothing to do.
            hub.failed(lane: 0, isLaneLost: false)
            #expect(hub.hasFreeLane)
            #expect(calls.value == round + 1)
        }
        hub.laneLost(0)
        #expect(!hub.hasFreeLane)
        #expect(calls.value == 4)
    }
}
