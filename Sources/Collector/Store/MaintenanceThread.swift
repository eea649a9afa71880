// Keeps the store in order beside the lanes: makes the schema at the start, partitions and chunks ahead while running, drops old
// rows where it is the leader, looks into the default partitions, and starts an embedded server again that has died. One thread,
// one connection at a time.

import Drain
import EmbeddedPostgres
import LinuxSystem
import Logging
import Maintenance
import Postgres
import StoreSchema
import StoreWriter
import Synchronization

/// The housekeeper of the database.
final class MaintenanceThread: Sendable {
    /// Between two attempts to make the schema, and between two looks at the embedded server.
    private static let lookMilliseconds: Int32 = 1_000
    /// Partitions are made days ahead: an hour is soon enough.
    private static let aheadNanoseconds: UInt64 = 3_600 * 1_000_000_000
    private static let housekeepingNanoseconds: UInt64 = 3_600 * 1_000_000_000
    private static let compactNanoseconds: UInt64 = 30 * 1_000_000_000
    /// Statements that join ranges, one after the other.
    private static let joinsAtOnce = 10
    private static let warnNanoseconds: UInt64 = 60 * 1_000_000_000
    private static let retryNanoseconds: UInt64 = 1_000_000_000
    /// Between two comparisons of the schema with what it must be, which lanes have requested.
    private static let repairNanoseconds: UInt64 = 5 * 1_000_000_000
    /// An idle lane does not notice that the server is gone: the maintenance thread asks it, so that /readyz is right.
    private static let askNanoseconds: UInt64 = 5 * 1_000_000_000

    private let availability: StoreAvailability
    private let appended: AppendedSessions
    private let fence: CommitFence
    private let embedded: EmbeddedServer?
    private let usesTimescale: Bool
    private let daysAhead: Int
    private let policies: PolicyChanges
    /// What this collector's settings want, with the changes of reloads.
    private let wanted: Mutex<PolicyChanges>
    /// What a reload wants changed, until it is.
    private let reloaded = Mutex<PolicyChanges?>(nil)
    private let directCompress: Bool
    /// Wanted and not known to be there yet.
    private let indexes: Mutex<[FieldIndex]>
    private let stopping: WakeEvent
    private let isStopping = Atomic(false)
    /// Whether transactions of an earlier run were waited for.
    private let isFenced = Atomic(false)
    /// Warnings about the schema and what is made ahead.
    private let said = Mutex<[String]>([])
    private let saidLimits = Atomic(false)
    private let saidDirect = Atomic(false)
    private let log: Logger

    init(
        availability: StoreAvailability, appended: AppendedSessions, fence: CommitFence, embedded: EmbeddedServer?,
        usesTimescale: Bool, daysAhead: Int, policies: PolicyChanges, directCompress: Bool, indexes: [FieldIndex],
        log: Logger
    ) throws(SystemCallError) {
        self.availability = availability
        self.appended = appended
        self.fence = fence
        self.embedded = embedded
        self.usesTimescale = usesTimescale
        self.daysAhead = daysAhead
        self.policies = policies
        wanted = Mutex(policies)
        self.directCompress = directCompress
        self.indexes = Mutex(indexes)
        self.log = log
        stopping = try WakeEvent()
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        stopping.signal()
    }

    /// Changes policies as soon as the database can be reached. What was wanted before and is not done yet is replaced.
    func change(_ policies: PolicyChanges) {
        guard !policies.isEmpty else { return }
        wanted.withLock { $0.replace(with: policies) }
        reloaded.withLock { $0 = policies }
    }

    private func changePolicies(_ connection: DatabaseConnection) throws(DatabaseError) {
        guard let wanted = reloaded.withLock({ $0 }) else { return }
        do throws(DatabaseError) {
            let report = try SchemaManager(connection, usesTimescale: usesTimescale).apply(
                daysAhead: daysAhead, changes: wanted, compressesChunks: directCompress)
            log.notice(
                report.changes.isEmpty
                    ? "the database has the retention already" : "the retention was changed in the database")
            for line in report.changes { log.notice("\(line)") }
            availability.warn([], of: "reload")
        } catch {
            // Tried again with a new connection; what the database refuses it refuses again.
            if error.isTransient { throw error }
            let line = "the retention could not be changed: \(error)"
            log.error("\(line)")
            availability.warn([line], of: "reload")
        }
        reloaded.withLock { if $0 == wanted { $0 = nil } }
    }

    /// Makes the schema, once.
    ///
    /// - Throws: why it could not be made.
    func applySchema() throws(DatabaseError) {
        let connection = try connect()
        // Once: later somebody else may have changed them, and is right.
        let changes = isFenced.load(ordering: .relaxed) ? PolicyChanges() : policies
        let report = try SchemaManager(connection, usesTimescale: usesTimescale).apply(
            daysAhead: daysAhead, changes: changes, compressesChunks: directCompress)
        // Relaxed: the maintenance thread starts after the first call, and is the only caller from then on.
        if !isFenced.load(ordering: .relaxed) {
            try fence.waitForEarlierRuns(connection)
            isFenced.store(true, ordering: .relaxed)
        }
        let wasOpen = availability.isOpen
        availability.open(report.server, directCompress: directCompress)
        if !wasOpen { log.info("the schema is in place", metadata: ["database": "\(report.server)"]) }
        for line in report.changes.dropLast(report.madeAhead) { log.info("schema: \(line)") }
        for line in report.changes.suffix(report.madeAhead) { log.debug("made ahead: \(line)") }
        say(report.warnings)
        if directCompress, !report.server.compressesDirectly, !saidDirect.exchange(true, ordering: .relaxed) {
            log.notice(
                "--direct-compress needs TimescaleDB's Community edition 2.21 or newer: rows are stored uncompressed")
        }
        if report.server.flavour != .timescaleCommunity, !saidLimits.exchange(true, ordering: .relaxed) {
            log.notice(
                "this database cannot compress chunks, which needs TimescaleDB's Community edition; the collector drops old rows itself"
            )
        }
    }

    /// Makes what was dropped while the collector runs. What cannot be made keeps no other table from being stored to.
    private func repairSchema() {
        do throws(DatabaseError) {
            try applySchema()
            availability.repaired(nil)
        } catch {
            log.warning("the schema is not complete and cannot be repaired, which is tried again: \(error)")
            availability.repaired(error)
        }
    }

    /// Warns of what it did not warn of the last time: rights that are missing stay missing.
    private func say(_ warnings: [String]) {
        let before = said.withLock { said in
            defer { said = warnings }
            return said
        }
        for line in warnings where !before.contains(line) { log.warning("\(line)") }
        availability.warn(warnings, of: "schema")
    }

    /// When each thing is due again.
    private struct Rounds {
        var revive: UInt64 = 0
        var reviveBackoff = Backoff()
        var ask: UInt64 = 0
        var repair: UInt64 = 0
        var ahead: UInt64 = 0
        var warn: UInt64 = 0
        var compact: UInt64 = 0
        var sweep = SessionSweep()
        var sweepWarnings: [String] = []
        var housekeepingWarnings: [String] = []
        /// Not at once: what a collector has to do at its start comes first.
        var housekeeping = monotonicNanoseconds() + warnNanoseconds
    }

    /// Runs until `stop`.
    func run() {
        var rounds = Rounds()
        var connection: DatabaseConnection?
        var lastError = ""
        while !isStopping.load(ordering: .acquiring) {
            let now = monotonicNanoseconds()
            if now >= rounds.revive { reviveServer(now: now, &rounds) }
            let isRepairDue = now >= rounds.repair && availability.takeRepairRequest()
            if now >= rounds.ask || isRepairDue || reloaded.withLock({ $0 != nil }) {
                rounds.ask = now + Self.askNanoseconds
                do throws(DatabaseError) {
                    if !availability.isOpen {
                        try applySchema()
                        rounds.warn = 0
                    } else if isRepairDue {
                        rounds.repair = now + Self.repairNanoseconds
                        repairSchema()
                        rounds.warn = 0
                    }
                    let usable = if let connection, connection.isUsable { connection } else { try connect() }
                    connection = usable
                    try usable.checkThatItTakesWrites()
                    try warnOfDurability(usable)
                    availability.asked(nil)
                    lastError = ""
                    try changePolicies(usable)
                    tidy(usable, now: now, &rounds)
                } catch {
                    connection = nil
                    availability.stayClosed(error)
                    availability.asked(error)
                    // Said once for each cause; /readyz shows it for as long as it lasts.
                    if "\(error)" != lastError, error.kind != .cancelled {
                        log.warning("the check of the database failed and is repeated: \(error)")
                    }
                    lastError = "\(error)"
                    rounds.ask = now + Self.retryNanoseconds
                }
            }
            stopping.wait(timeoutMilliseconds: Self.lookMilliseconds)
        }
    }

    /// Once, and not before the lanes may store: a large table takes a while.
    private func createIndexes(_ manager: SchemaManager) {
        let wanted = indexes.withLock { indexes in
            defer { indexes = [] }
            return indexes
        }
        for index in wanted {
            do throws(DatabaseError) {
                for line in try manager.createIndexes([index]) { log.info("schema: \(line)") }
            } catch {
                let line =
                    "no index on \(index): the owner of the table runs 'spillway schema apply --index \(index)': \(error)"
                availability.warnOfIndex(line)
                log.warning("\(line)")
            }
        }
    }

    /// Each time: what is acknowledged now is as safe as this.
    private func warnOfDurability(_ connection: DatabaseConnection) throws(DatabaseError) {
        let warnings = try SchemaManager(connection).durabilityWarnings()
        for line in warnings where !availability.durabilityWarnings.contains(line) { log.warning("\(line)") }
        availability.warnOfDurability(warnings)
    }

    /// What is due of the housekeeping. It failing keeps no lane from storing, so it is said and tried again later.
    private func tidy(_ connection: DatabaseConnection, now: UInt64, _ rounds: inout Rounds) {
        let manager = SchemaManager(connection, usesTimescale: usesTimescale)
        createIndexes(manager)
        if now >= rounds.ahead {
            rounds.ahead = now + Self.aheadNanoseconds
            do throws(DatabaseError) {
                let report = try manager.ensurePartitionsAhead(days: daysAhead, compressesChunks: directCompress)
                for line in report.created { log.debug("made ahead: \(line)") }
                say(report.warnings)
            } catch {
                rounds.ahead = now + Self.warnNanoseconds
                log.warning("partitions or chunks could not be created ahead, which is repeated in a minute: \(error)")
            }
        }
        if now >= rounds.compact, connection.isUsable {
            rounds.compact = now + Self.compactNanoseconds
            do throws(DatabaseError) {
                for table in try manager.removeUnfinishedPartitions() {
                    log.notice("removed the constraint of an interrupted change of the schema from \(table)")
                }
            } catch {
                log.warning("rows may be refused by the constraint of an interrupted change of the schema: \(error)")
            }
            do throws(DatabaseError) {
                try joinRanges(connection, &rounds)
            } catch {
                log.warning("the rows of spillway.session_frames could not be compacted, which is repeated: \(error)")
            }
        }
        if now >= rounds.housekeeping, connection.isUsable { keepHouse(manager, now: now, &rounds) }
        if now >= rounds.warn, connection.isUsable {
            rounds.warn = now + Self.warnNanoseconds
            do throws(DatabaseError) {
                var warnings = try manager.standingWarnings()
                if let line = try manager.clockWarning(localMicroseconds: wallClockMicroseconds()) {
                    warnings.append(line)
                }
                warnings += try manager.policyConflicts(with: wanted.withLock { $0 })
                for line in warnings where !availability.schemaWarnings.contains(line) { log.warning("\(line)") }
                availability.warn(warnings)
            } catch {
                log.warning("the default partitions could not be checked for rows: \(error)")
            }
        }
    }

    /// The rows of the sessions that this collector has stored frames of; the leader also takes a page of the whole table.
    private func joinRanges(_ connection: DatabaseConnection, _ rounds: inout Rounds) throws(DatabaseError) {
        // Bounded, because the maintenance thread has other jobs.
        for _ in 0..<Self.joinsAtOnce {
            let windows = appended.takeDue()
            if windows.isEmpty { break }
            guard try SessionCompaction(connection).join(windows) != nil else {
                // Another collector is at it.
                appended.giveBack(windows)
                break
            }
        }
        guard try SessionSweep.isLeader(connection) else { return }
        let report = try rounds.sweep.nextPage(connection, localMicroseconds: wallClockMicroseconds())
        if report.rowsForgotten > 0 {
            log.notice(
                "rows of spillway.session_frames of sessions that ended long ago were deleted",
                metadata: ["ranges": "\(report.rowsForgotten)"])
        }
        if report.warnings != rounds.sweepWarnings { for line in report.warnings { log.warning("\(line)") } }
        rounds.sweepWarnings = report.warnings
    }

    private func keepHouse(_ manager: SchemaManager, now: UInt64, _ rounds: inout Rounds) {
        let house = Housekeeping(manager)
        // Soon again: the leader may be gone by then, or whoever was in the way.
        rounds.housekeeping = now + Self.warnNanoseconds
        do throws(DatabaseError) {
            guard try house.isLeader() else { return availability.warn([], of: "housekeeping") }
            let report = try house.run()
            for line in report.done { log.notice("\(line)") }
            // Said once: a right that is missing stays missing for long.
            if report.warnings != rounds.housekeepingWarnings {
                for line in report.warnings {
                    log.warning("maintenance of the database failed and is repeated: \(line)")
                }
            }
            rounds.housekeepingWarnings = report.warnings
            availability.warn(
                report.warnings.map { "maintenance of the database failed and is repeated: \($0)" }, of: "housekeeping")
            // One that may do everything may be there.
            if report.isBarred { try house.stepDown() }
            if report.warnings.isEmpty || report.isBarred && !report.isTransient {
                rounds.housekeeping = now + Self.housekeepingNanoseconds
            }
        } catch {
            log.warning("maintenance of the database failed and is repeated: \(error)")
        }
    }

    private func connect() throws(DatabaseError) -> DatabaseConnection {
        let log = log
        var options = availability.options("keeper")
        // Ends on the server before it is given up here, so that the session stays.
        options.statementTimeoutMilliseconds = options.silenceTimeoutMilliseconds / 6 * 5
        return try DatabaseConnection(availability.openLocation, options: options, stop: stopping) { report in
            log.warning("a warning of the database", metadata: ["message": "\(report.message)"])
        }
    }

    private func reviveServer(now: UInt64, _ rounds: inout Rounds) {
        guard let embedded, !embedded.isAlive else { return }
        log.warning("the embedded database has ended unexpectedly and is restarted; its server.log has the reason")
        embedded.stop()
        do throws(EmbeddedServerError) {
            try embedded.start()
            availability.move(to: embedded.location)
            rounds.reviveBackoff.reset()
        } catch {
            var generator = SystemRandomNumberGenerator()
            rounds.revive = now + UInt64(rounds.reviveBackoff.next(using: &generator)) * 1_000_000
            log.error("the embedded database could not be restarted, which is repeated: \(error)")
        }
    }
}
