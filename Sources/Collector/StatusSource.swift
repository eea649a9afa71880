// Takes the collector's status for its HTTP endpoints, from whatever thread asks.

import FrameRing
import LinuxSystem
import Listeners
import Synchronization

/// Everything that a status is made from.
final class StatusSource: Sendable {
    private let settings: CollectorSettings
    private let startedAt: UInt64
    private let ledger: ConservationLedger
    private let ring: FrameRing
    private let pool: BatchPool
    private let health: LaneHealth
    private let gate: StoreGate?
    private let stalled: Mutex<StalledClaimGauge>

    init(
        settings: CollectorSettings, startedAt: UInt64, ledger: ConservationLedger, ring: FrameRing, pool: BatchPool,
        health: LaneHealth, gate: StoreGate?
    ) {
        self.settings = settings
        self.startedAt = startedAt
        self.ledger = ledger
        self.ring = ring
        self.pool = pool
        self.health = health
        self.gate = gate
        stalled = Mutex(StalledClaimGauge(ring: ring))
    }

    /// The status now. O(sources).
    func now() -> CollectorStatus {
        let snapshot = ledger.snapshot()
        let lanes = health.snapshot
        let now = monotonicNanoseconds()
        let stalledSeconds = stalled.withLock { Double($0.ageNanoseconds(nowNanoseconds: now)) / 1e9 }
        let connected = gate == nil ? settings.lanes : lanes.connected.count
        let gauges = [
            Gauge(
                name: "records_in_memory", help: "Records that are neither stored nor counted as lost yet.",
                value: Double(snapshot.recordsInFlight)),
            Gauge(name: "ring_used_bytes", help: "Bytes of the ring in use.", value: Double(ring.usedBytes)),
            Gauge(name: "ring_capacity_bytes", help: "Bytes of the ring.", value: Double(ring.capacityBytes)),
            Gauge(
                name: "ring_oldest_unpublished_claim_seconds",
                help: "For how long a producer has held up the ring; it is looked at when this is read.",
                value: stalledSeconds),
            Gauge(name: "batches_waiting", help: "Batches that wait for a lane.", value: Double(pool.full.count)),
            Gauge(name: "lanes", help: "Lanes.", value: Double(settings.lanes)),
            Gauge(name: "lanes_connected", help: "Lanes that reach the database.", value: Double(connected)),
            Gauge(
                name: "batches_committed", help: "Batches committed since the start.",
                value: Double(lanes.batchesCommitted)),
            Gauge(
                name: "batch_attempts_failed", help: "Attempts to store a batch that failed and are repeated.",
                value: Double(lanes.attemptsFailed)),
            Gauge(
                name: "batches_settled_by_ledger", help: "Batches whose COMMIT was unknown and had worked.",
                value: Double(lanes.batchesSettledByLedger)),
            Gauge(
                name: "uptime_seconds", help: "Since the start.", value: Double(now &- startedAt) / 1e9),
        ]
        var notReady: [String] = []
        if let reason = gate?.reason {
            notReady = [reason]
        } else if gate != nil, connected == 0 {
            let errors = Set(lanes.errors.values).sorted()
            notReady = errors.isEmpty ? ["no lane has reached the database yet"] : errors
        }
        return CollectorStatus(
            ledger: snapshot, gauges: gauges, notReady: notReady, warnings: gate?.warnings ?? [],
            database: gate?.identity.map { "\($0)" })
    }
}
