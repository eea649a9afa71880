// One trial of a drain: the rows of a stream into a database, by the collector or by psql.

/// What a trial gave.
struct DrainTrial {
    /// From the first commit of each lane to the last of all; psql has one commit, its rate is that of the whole.
    let rate: Double
    /// Process start or first byte to last commit.
    let wholeRate: Double
    let clientCPUSeconds: Double
    /// 0 of a server that is not ours.
    let serverCPUSeconds: Double

    init(psql server: DatabaseServer, _ files: CopyFiles, rows: Int) throws {
        let before = try server.cpuSeconds()
        let (seconds, cpuSeconds) = try files.copy(to: server)
        rate = Double(rows) / seconds
        wholeRate = rate
        clientCPUSeconds = cpuSeconds
        serverCPUSeconds = try server.cpuSeconds() - before
    }

    init(
        _ server: DatabaseServer, _ child: borrowing CollectorProcess, _ stream: FrameStream, lanes: Int
    ) throws {
        let before = try server.cpuSeconds()
        let trial = try StreamTrial(child, stream, startRecords: UInt64(lanes) * 50_000)
        rate = trial.steadyRate
        wholeRate = trial.rate
        clientCPUSeconds = trial.collectorCPUSeconds
        serverCPUSeconds = try server.cpuSeconds() - before
    }
}
