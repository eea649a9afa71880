// The defaults grow with the machine, within the settings' own limits, and with what a control group leaves of it.

import Testing

@testable import Collector

struct MachineDefaultsTests {
    @Test(arguments: [
        (1, 2, 1, 32), (2, 2, 1, 32), (4, 2, 1, 32), (8, 4, 2, 64), (12, 6, 3, 64), (16, 8, 4, 128),
        (32, 16, 8, 256), (256, 16, 8, 256),
    ])
    func threadsAndTheRingFitTheCores(_ cores: Int, _ lanes: Int, _ threads: Int, _ ringMebibytes: Int) {
        let defaults = MachineDefaults(MachineLimits(cores: cores, memoryBytes: 64 << 30))
        #expect(defaults.lanes == lanes)
        #expect(defaults.udpThreads == threads)
        #expect(defaults.ringBytes == ringMebibytes << 20)
    }

    @Test(arguments: [(256, 2, 32), (512, 2, 32), (2_048, 7, 32), (8_192, 16, 128), (16_384, 16, 256)])
    func manyCoresWithLittleMemoryGetLessOfBoth(_ memoryMebibytes: Int, _ lanes: Int, _ ringMebibytes: Int) {
        let defaults = MachineDefaults(MachineLimits(cores: 32, memoryBytes: memoryMebibytes << 20))
        #expect(defaults.lanes == lanes)
        #expect(defaults.ringBytes == ringMebibytes << 20)
    }

    private static let machine = [
        "/proc/self/status": "Name:\tspillway\nCpus_allowed_list:\t0-3,8,10-11\n",
        "/proc/meminfo": "MemTotal:       16384 kB\nMemFree: 1 kB\n",
    ]

    @Test func coresAndMemoryAreThoseThatTheProcessMayUse() {
        let limits = MachineLimits { Self.machine[$0] }
        #expect(limits == MachineLimits(cores: 7, memoryBytes: 16_384 << 10))
    }

    @Test func aControlGroupAndThoseAboveItLimitThem() {
        var files = Self.machine
        files["/proc/self/cgroup"] = "4:memory:/old\n0::/system.slice/spillway.service\n"
        files["/sys/fs/cgroup/system.slice/spillway.service/cpu.max"] = "max 100000\n"
        files["/sys/fs/cgroup/system.slice/cpu.max"] = "250000 100000\n"
        files["/sys/fs/cgroup/system.slice/spillway.service/memory.max"] = "1048576\n"
        files["/sys/fs/cgroup/memory.max"] = "max\n"
        #expect(MachineLimits { files[$0] } == MachineLimits(cores: 3, memoryBytes: 1_048_576))
        // More than there is is no limit.
        files["/sys/fs/cgroup/system.slice/cpu.max"] = "6400000 100000\n"
        files["/sys/fs/cgroup/system.slice/spillway.service/memory.max"] = "1099511627776\n"
        #expect(MachineLimits { files[$0] } == MachineLimits(cores: 7, memoryBytes: 16_384 << 10))
    }

    @Test func withoutAnyFileThereIsOneCore() {
        #expect(MachineLimits { _ in nil }.cores == 1)
    }

    @Test func theseAreTheDefaultsOfTheSettings() {
        let here = MachineDefaults(MachineLimits.here)
        #expect(MachineLimits.here.memoryBytes > 256 << 20)
        #expect(Setting.lanes.defaultText == "\(here.lanes)")
        #expect(Setting.udpThreads.defaultText == "\(here.udpThreads)")
        #expect(Setting.ringBytes.defaultText.flatMap { Quantity.bytes.value($0) } == here.ringBytes)
    }
}
