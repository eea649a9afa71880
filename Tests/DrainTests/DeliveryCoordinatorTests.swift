// When the drainer is told that a lane is free: it may be asleep with a batch that nobody adds to any more.

import Accounting
import Delivery
import Synchronization
import Testing

@testable import Drain

struct DeliveryCoordinatorTests {
    private final class Calls: Sendable {
        let count = Atomic(0)
        var value: Int { count.load(ordering: .relaxed) }
    }

    @Test func theDrainerIsToldEachTimeThatALaneHasBecomeFree() throws {
        let calls = Calls()
        let coordinator = DeliveryCoordinator(
            limits: DeliveryPlan.Limits(slots: 4, lanes: 1, waitingMax: 1), batch: BatchLimits(),
            accounting: Accounting(), registry: SessionRegistry(SessionTable(hasStore: false)), epoch: 1,
            onFreeLane: { calls.count.add(1, ordering: .relaxed) })
        #expect(!coordinator.hasFreeLane)
        coordinator.laneConnected(0)
        #expect(coordinator.hasFreeLane)
        #expect(calls.value == 1)
        for round in 1...3 {
            let open = try #require(coordinator.openBatch(timeoutMilliseconds: 0))
            coordinator.close(open.slot, sequence: Int64(round))
            // It waits for this lane.
            #expect(!coordinator.hasFreeLane)
            #expect(coordinator.work(forLane: 0, timeoutMilliseconds: 0) != nil)
            #expect(!coordinator.hasFreeLane)
            #expect(calls.value == round)
            // The batch goes to the spill, and the lane has nothing to do.
            coordinator.failed(lane: 0, isLaneLost: false)
            #expect(coordinator.hasFreeLane)
            #expect(calls.value == round + 1)
        }
        coordinator.laneLost(0)
        #expect(!coordinator.hasFreeLane)
        #expect(calls.value == 4)
    }
}
