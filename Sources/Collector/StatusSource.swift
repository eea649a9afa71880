// Takes the collector's status for its HTTP endpoints, from whatever thread asks.

import Accounting
import Drain
import FrameCodec
import FrameRing
import LinuxSystem
import Listeners
import Synchronization
import Text

/// Everything that a status is made from.
final class StatusSource: Sendable {
    private let settings: CollectorSettings
    private let startedAt: UInt64
    private let accounting: Accounting
    private let ring: FrameRing
    private let coordinator: DeliveryCoordinator
    private let health: LaneHealth
    private let availability: StoreAvailability?
    private let descriptors: DescriptorWatch
    private let stranded: StrandedSpills?
    private let configuration: ConfigurationNotes
    private let databaseAddress: String?
    private let stalled: Mutex<StalledClaimGauge>

    init(
        settings: CollectorSettings, startedAt: UInt64, accounting: Accounting, ring: FrameRing,
        coordinator: DeliveryCoordinator,
        health: LaneHealth, availability: StoreAvailability?, descriptors: DescriptorWatch, stranded: StrandedSpills?,
        configuration: ConfigurationNotes, databaseAddress: String?
    ) {
        self.settings = settings
        self.startedAt = startedAt
        self.accounting = accounting
        self.ring = ring
        self.coordinator = coordinator
        self.health = health
        self.availability = availability
        self.descriptors = descriptors
        self.stranded = stranded
        self.configuration = configuration
        self.databaseAddress = databaseAddress
        stalled = Mutex(StalledClaimGauge(ring: ring))
    }

    /// The status now. O(sources).
    func now() -> CollectorStatus {
        let snapshot = accounting.snapshot()
        let lanes = health.snapshot
        let delivery = coordinator.view
        let now = monotonicNanoseconds()
        let stalledSeconds = stalled.withLock { Double($0.ageNanoseconds(nowNanoseconds: now)) / 1e9 }
        let connected = availability == nil ? settings.lanes : lanes.connected.count
        var gauges = [
            Gauge(
                name: "records_in_memory", help: "Records that are neither stored nor counted as lost yet.",
                value: Double(snapshot.recordsInFlight)),
            Gauge(
                name: "sessions_tracked", help: "Sessions whose frames are counted one by one.",
                value: Double(snapshot.sessionsTracked)),
            Gauge(name: "ring_used_bytes", help: "Bytes of the ring in use.", value: Double(ring.usedBytes)),
            Gauge(name: "ring_capacity_bytes", help: "Bytes of the ring.", value: Double(ring.capacityBytes)),
            Gauge(
                name: "ring_oldest_unpublished_claim_seconds",
                help: "For how long a producer has held up the ring, as seen at each scrape.",
                value: stalledSeconds),
            Gauge(
                name: "batches_waiting", help: "Batches in memory that wait for a lane or the spill.",
                value: Double(delivery.batchesWaiting)),
            Gauge(
                name: "spill_batches", help: "Batches in the spill that are not stored yet.",
                value: Double(delivery.spillBatches)),
            Gauge(
                name: "spill_records", help: "Records in the spill that are not stored yet.",
                value: Double(delivery.spillRecords)),
            Gauge(
                name: "spill_bytes", help: "Bytes of these batches on disk.", value: Double(delivery.spillBytes)),
            Gauge(
                name: "spill_oldest_age_seconds", help: "Since the oldest record in the spill came.",
                value: delivery.oldestSpilledMicroseconds.map {
                    max(0, Double(wallClockMicroseconds()) - Double($0)) / 1e6
                } ?? 0),
            Gauge(
                name: "replay_records_per_second", help: "The pace of the replay in the last seconds.",
                value: delivery.replayRecordsPerSecond.rounded()),
            Gauge(
                name: "spill_catch_up_seconds",
                help: "When the spill is empty at that pace; -1 while nothing is replayed.",
                value: delivery.secondsToCatchUp.map { $0.rounded(.up) } ?? -1),
            Gauge(
                name: "spill_blocked", help: "1 while the spill takes nothing.",
                value: delivery.spillBlock == nil ? 0 : 1),
            Gauge(
                name: "spill_batches_damaged", help: "Batches of the spill that are damaged, found since the start.",
                value: Double(delivery.damage.batches)),
            Gauge(
                name: "spill_ends_torn", help: "Torn ends of the spill that are in its quarantine, found at the start.",
                value: Double(delivery.damage.ends)),
            Gauge(
                name: "spill_segments_disturbed",
                help: "Segments that something other than the collector removed, replaced or cut since the start.",
                value: Double(delivery.segmentsDisturbed)),
            Gauge(
                name: "stranded_spill_records",
                help: "Records in other spills of this machine, which wait for an import: see the warnings.",
                value: Double(stranded?.records ?? 0)),
            Gauge(
                name: "tables_held", help: "Tables that accept nothing, whose records wait in the spill.",
                value: Double(delivery.heldTables.count)),
            Gauge(name: "lanes", help: "Lanes.", value: Double(settings.lanes)),
            Gauge(name: "lanes_connected", help: "Lanes that reach the database.", value: Double(connected)),
            Gauge(
                name: "database_reachable",
                help: "1 while lanes reach the database and it answers, 0 while records wait for it.",
                value: connected > 0 && availability?.reason == nil ? 1 : 0),
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
                name: "open_files_limit", help: "Files and sockets that this process may have open.",
                value: Double(descriptors.limit)),
            Gauge(
                name: "uptime_seconds", help: "Since the start.", value: Double(now &- startedAt) / 1e9),
        ]
        var notReady: [String] = []
        if let reason = availability?.reason {
            notReady = [reason]
        } else if availability != nil, connected == 0 {
            let errors = Set(lanes.errors.values).sorted()
            notReady = errors.isEmpty ? ["no lane has reached the database yet"] : errors
        }
        // What comes is safe in the spill, and so the collector is ready to take it.
        let held = delivery.heldTables.map(\.warning)
        let refusals = Set(lanes.refusals.values).sorted().map { "batches are not stored and tried again: \($0)" }
        let outOfBounds = health.outOfBoundsWarnings { number in
            let name = snapshot.sources.first { $0.source == number }?.name?.text ?? ""
            return "source " + (name.isEmpty ? hexadecimal(number) : "\(name) (\(hexadecimal(number)))")
        }
        var warnings =
            held + refusals + health.suppressionWarnings + outOfBounds + health.deadLetterWarnings + delivery.warnings
            + (stranded?.warnings ?? [])
            + descriptors.warnings + (availability?.warnings ?? []) + configuration.warnings
        // Nothing more can be taken: what waits for these tables fills memory and spill.
        if delivery.isStuck { notReady += held }
        if coordinator.hasSpill, delivery.spillBlock == nil, !notReady.isEmpty {
            let consequence =
                connected > 0
                ? "the database does not answer as it should while \(connected) of \(settings.lanes) lanes are connected"
                : "the database is unavailable, and records wait in the spill"
            warnings += notReady.map { "\(consequence): \($0)" }
            notReady = []
        } else if let block = delivery.spillBlock {
            if notReady.isEmpty {
                warnings.append("the spill takes no batches: \(block)")
            } else {
                notReady.append(block)
            }
        }
        gauges += [
            Gauge(
                name: "warnings", help: "Lines in the warnings of /stats and /readyz.", value: Double(warnings.count)),
            Gauge(
                name: "database_durability_faults",
                help: "Settings and unlogged tables of the database that can lose what was acknowledged.",
                value: Double(availability?.durabilityWarnings.count ?? 0)),
        ]
        return CollectorStatus(
            accounting: snapshot, gauges: gauges, heldTables: delivery.heldTables, notReady: notReady,
            warnings: warnings,
            database: availability?.identity.map { "\($0)" }, spillDirectory: settings.spillPath,
            databaseAddress: databaseAddress)
    }
}
