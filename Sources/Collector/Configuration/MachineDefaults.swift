// What the defaults are on a machine with so many cores. Settings of one's own go before them.

import NIOCore

/// Threads and buffers that fit a number of cores.
struct MachineDefaults: Equatable {
    /// The cores that this process may use: those it is bound to, or what its control group gives it, if that is less.
    static let here = MachineDefaults(cores: System.coreCount)

    private let cores: Int

    init(cores: Int) { self.cores = cores }

    /// A lane keeps a backend of the server busy, which takes several times the lane's own time: half of the cores, where
    /// the server is on this machine. Two on the smallest, so that one stores while the other one's commit waits for the disk.
    var lanes: Int { min(max(cores / 2, 2), 16) }

    /// For each UDP address. A thread receives, checks and copies some 5 million records a second; the lanes that decode and
    /// store them need the rest of the machine.
    var udpThreads: Int { min(max(cores / 4, 1), 8) }

    /// For all connections together, likewise.
    var tcpThreads: Int { min(max(cores / 4, 1), 8) }

    /// A power of two, so much for each thread that receives.
    var ringBytes: Int { (32 << 20) << (Int.bitWidth - 1 - udpThreads.leadingZeroBitCount) }
}
