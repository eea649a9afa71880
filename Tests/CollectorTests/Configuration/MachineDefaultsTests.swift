// The defaults grow with the machine, within the settings' own limits.

import Testing

@testable import Collector

struct MachineDefaultsTests {
    @Test(arguments: [
        (1, 2, 1, 32), (2, 2, 1, 32), (4, 2, 1, 32), (8, 4, 2, 64), (12, 6, 3, 64), (16, 8, 4, 128),
        (32, 16, 8, 256), (256, 16, 8, 256),
    ])
    func threadsAndTheRingFitTheCores(_ cores: Int, _ lanes: Int, _ threads: Int, _ ringMebibytes: Int) {
        let defaults = MachineDefaults(cores: cores)
        #expect(defaults.lanes == lanes)
        #expect(defaults.udpThreads == threads)
        #expect(defaults.tcpThreads == threads)
        #expect(defaults.ringBytes == ringMebibytes << 20)
    }

    @Test func thisMachineHasCores() {
        #expect(MachineDefaults.here.lanes >= 2)
        #expect(Setting.lanes.defaultText == "\(MachineDefaults.here.lanes)")
    }
}
