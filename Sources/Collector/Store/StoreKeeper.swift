// Keeps the store in order beside the lanes: makes the schema at the start, partitions and chunks ahead while running, looks
// into the default partitions, and starts an embedded server again that has died. One thread, one connection at a time.

import LinuxSystem
import Logging
import Synchronization
import TimescaleStore

/// The housekeeper of the database.
final class StoreKeeper: Sendable {
    /// Between two attempts to make the schema, and between two looks at the embedded server.
    private static let lookMilliseconds: Int32 = 1_000
    /// Partitions are made days ahead: an hour is soon enough.
    private static let aheadNanoseconds: UInt64 = 3_600 * 1_000_000_000
    private static let warnNanoseconds: UInt64 = 60 * 1_000_000_000

    private let gate: StoreGate
    private let embedded: EmbeddedServer?
    private let daysAhead: Int
    private let stopping: WakeEvent
    private let isStopping = Atomic(false)
    private let log: Logger

    init(gate: StoreGate, embedded: EmbeddedServer?, daysAhead: Int, log: Logger) throws(SystemCallError) {
        self.gate = gate
        self.embedded = embedded
        self.daysAhead = daysAhead
        self.log = log
        stopping = try WakeEvent()
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        stopping.signal()
    }

    /// Makes the schema, once.
    ///
    /// - Throws: why it could not be made.
    func applySchema() throws(DatabaseError) {
        let connection = try connect()
        let report = try SchemaManager(connection).apply(daysAhead: daysAhead)
        gate.open(report.server)
        log.info("the schema is in place", metadata: ["database": "\(report.server)"])
    }

    /// Runs until `stop`.
    func run() {
        var nextAhead: UInt64 = 0
        var nextWarn: UInt64 = 0
        var lastError = ""
        while !isStopping.load(ordering: .acquiring) {
            do throws(DatabaseError) {
                reviveServer()
                let now = monotonicNanoseconds()
                if !gate.isOpen { try applySchema() }
                if now >= nextAhead {
                    let report = try SchemaManager(connect()).ensurePartitionsAhead(days: daysAhead)
                    for line in report.created { log.debug("made ahead: \(line)") }
                    for line in report.warnings { log.warning("\(line)") }
                    nextAhead = now + Self.aheadNanoseconds
                }
                if now >= nextWarn {
                    let warnings = try SchemaManager(connect()).defaultPartitionWarnings()
                    if warnings != gate.warnings { for line in warnings { log.warning("\(line)") } }
                    gate.warn(warnings)
                    nextWarn = now + Self.warnNanoseconds
                }
                lastError = ""
            } catch {
                gate.stayClosed(error)
                // Said once for each cause; /readyz shows it for as long as it lasts.
                if "\(error)" != lastError, error.kind != .cancelled { log.warning("the database: \(error)") }
                lastError = "\(error)"
            }
            stopping.wait(timeoutMilliseconds: Self.lookMilliseconds)
        }
    }

    private func connect() throws(DatabaseError) -> DatabaseConnection {
        let log = log
        return try DatabaseConnection(
            gate.openLocation, options: ConnectionOptions(applicationName: "spillway keeper"), stop: stopping
        ) { report in log.warning("the database warns", metadata: ["message": "\(report.message)"]) }
    }

    private func reviveServer() {
        guard let embedded, !embedded.isAlive else { return }
        log.warning("the embedded database has ended; it is started again")
        embedded.stop()
        do throws(EmbeddedServerError) {
            try embedded.start()
            gate.move(to: embedded.location)
        } catch {
            log.error("the embedded database does not start: \(error)")
        }
    }
}
