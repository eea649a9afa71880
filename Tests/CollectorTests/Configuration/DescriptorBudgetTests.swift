import Testing

@testable import Collector

struct DescriptorBudgetTests {
    private func budget(_ limit: Int, connections: Int = 1_024, tcp: Int = 1) -> DescriptorBudget {
        DescriptorBudget(
            limit: limit, connections: connections, tcpAddresses: tcp, udpSockets: 1, lanes: 2, hasSpill: true)
    }

    @Test func aHighLimitHasRoomForAllThatIsConfigured() {
        let budget = budget(65_536)
        #expect(budget.connectionsMax == 1_024 && budget.httpConnections == 256 && budget.segments == 256)
        #expect(budget.warning == nil)
    }

    @Test(arguments: [64, 200, 256, 1_024, 1_600])
    func aLowLimitIsNeverExceededByTheParts(_ limit: Int) {
        for tcp in 1...3 {
            let budget = budget(limit, tcp: tcp)
            let parts = budget.connectionsMax * tcp + budget.httpConnections + budget.segments
            #expect(budget.connectionsMax >= 1 && budget.httpConnections >= 4)
            // Below this not even the fixed parts fit.
            if limit >= 200 { #expect(parts < limit - 60, "\(budget)") }
            #expect(
                budget.warning?.contains("may have \(limit) files and sockets open") == true
                    || limit == 1_600 && tcp == 1)
        }
    }
}
