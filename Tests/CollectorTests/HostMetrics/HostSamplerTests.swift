import Glibc
import Testing

@testable import Collector

@Suite struct HostSamplerTests {
    @Test func aSampleOfThisHostIsPlausible() {
        var sampler = HostSampler(systemID: "here")
        // Some work, so that the second look at the processor's ticks differs from the first.
        var sum = 0.0
        for step in 0..<20_000_000 { sum += Double(step).squareRoot() }
        #expect(sum > 0)
        usleep(50_000)
        let record = sampler.sample()
        #expect(record.systemID == "here")
        #expect(record.cpuUsagePercent.map { (0...100).contains($0) } == true)
        #expect(record.memoryUsagePercent.map { $0 > 0 && $0 < 100 } == true)
        #expect(record.diskUsagePercent.map { $0 > 0 && $0 <= 100 } == true)
        #expect(record.networkIoBytes.map { $0 >= 0 } ?? true)
        #expect(record.activeConnections.map { $0 >= 0 } == true)
        #expect(record.time > 1_700_000_000_000_000)
    }

    @Test func withoutANameTheHostsOwnIsTaken() {
        var sampler = HostSampler(systemID: "")
        #expect(sampler.sample().systemID == HostSampler.hostName())
        #expect(!HostSampler.hostName().isEmpty)
    }
}
