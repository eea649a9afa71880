// Opening the spill when the collector starts: what an earlier run left is looked through before anything new is taken.

import Delivery
import Drain
import LinuxSystem
import Logging
import SpillLog

/// An open spill. The coordinator and the session registry know what it holds.
struct OpenedSpill: Sendable {
    private static let logEveryNanoseconds: UInt64 = 2_000_000_000

    let directory: SpillDirectory
    private var limits = SpillLimits()
    /// The segments that an earlier run left, and their bytes.
    private let found: [SegmentName: UInt64]
    private let coordinator: DeliveryCoordinator
    private let log: Logger

    /// Locks the directory and reads all its segments: O(bytes).
    ///
    /// - Throws: `SpillError` where the directory cannot be made, locked or read.
    init(
        _ path: String, settings: CollectorSettings, segmentsOpenMax: Int, coordinator: DeliveryCoordinator,
        registry: SessionRegistry,
        log: Logger
    ) throws(SpillError) {
        directory = try SpillDirectory.open(path, segmentsOpenMax: segmentsOpenMax)
        if let other = try directory.claim(
            for: settings.spillOwner, takesUnknown: settings.database != .discard)
        {
            log.warning(
                "the spill holds batches for another database, which are set aside and not stored by this collector",
                metadata: ["database": "\(other.database ?? "not recorded")", "set_aside": "\(other.path)"])
        }
        var nextLog = monotonicNanoseconds() + Self.logEveryNanoseconds
        let recovery = try SpillRecovery(
            fileSystem: directory.fileSystem,
            onSessions: { sessions, isDurable in
                // What is not on the disk for certain is not promised to its client, who sends it again: it is stored once.
                if isDurable { registry.recovered(sessions) }
            }
        ) { progress in
            guard monotonicNanoseconds() >= nextLog else { return }
            nextLog = monotonicNanoseconds() + Self.logEveryNanoseconds
            log.info(
                "reading the spill of an earlier run",
                metadata: ["segments": "\(progress.segmentsDone) of \(progress.segments)"])
        }
        log.info("the spill is open", metadata: ["directory": "\(path)"])
        Self.tell(recovery, path, log)
        coordinator.recovered(recovery)
        limits.quotaBytes = UInt64(settings.spillQuotaBytes)
        limits.freePercentMin = Double(settings.spillFreePercent)
        found = Dictionary(
            uniqueKeysWithValues: recovery.segments.map { ($0.name, UInt64($0.sizeBytes)) })
        directory.files.keep(recovery.segments.map(\.name), of: directory.fileSystem)
        let isInMemoryAlone = isInMemoryAlone(path)
        coordinator.disturbed {
            $0.path = path
            $0.isInMemoryAlone = isInMemoryAlone
        }
        self.coordinator = coordinator
        self.log = log
    }

    /// The writer and its schedule, for the spill's thread.
    func makeSchedule() -> SpillSchedule {
        let writer = SpillWriter(
            fileSystem: directory.fileSystem, directoryID: directory.directoryID,
            epoch: UInt64(bitPattern: coordinator.epoch), limits: limits, found: found, files: directory.files)
        return SpillSchedule(
            writer, coordinator: coordinator, path: directory.path, quotaBytes: limits.quotaBytes, log: log)
    }

    private static func tell(_ recovery: SpillRecovery, _ path: String, _ log: Logger) {
        for warning in recovery.warnings { log.warning("spill: \(warning)") }
        if recovery.damagedBatches > 0 || recovery.tornTails > 0 {
            log.warning(
                "the spill had damage: what was damaged is kept, in the quarantine or with its segment",
                metadata: [
                    "batches": "\(recovery.damagedBatches)", "records": "\(recovery.damagedRecords)",
                    "torn_ends": "\(recovery.tornTails)", "directory": "\(path)",
                ])
        }
        if recovery.batches > 0 {
            log.notice(
                "an earlier run left batches in the spill; they are replayed",
                metadata: ["batches": "\(recovery.batches)", "records": "\(recovery.records)"])
        }
    }
}
