// What the defaults are on a machine with so many cores and so much memory. Settings of one's own go before them.

/// Threads and buffers that fit a machine.
struct MachineDefaults: Equatable {
    static let here = MachineDefaults(.here)

    private let limits: MachineLimits

    init(_ limits: MachineLimits) { self.limits = limits }

    /// A lane keeps a backend of the server busy, which takes several times the lane's own time: half of the cores, where
    /// the server is on this machine. Two on the smallest, so that one stores while the other one's commit waits for the disk.
    /// A lane's batches may have 70 MiB: all of them not more than a quarter of the memory.
    var lanes: Int { min(max(min(limits.cores / 2, limits.memoryBytes / 4 / (70 << 20)), 2), 16) }

    /// For each UDP address. A thread receives, checks and copies some 5 million records a second; the lanes that decode and
    /// store them need the rest of the machine.
    var udpThreads: Int { min(max(limits.cores / 4, 1), 8) }

    /// A power of two, 32 MiB for each thread that receives datagrams, at most a 64th of the memory, at least 32 MiB.
    var ringBytes: Int {
        let wanted = min(udpThreads * 32 << 20, limits.memoryBytes / 64)
        return 1 << (Int.bitWidth - 1 - max(wanted, 32 << 20).leadingZeroBitCount)
    }
}
