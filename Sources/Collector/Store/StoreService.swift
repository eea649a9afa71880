// All that a collector has of its database beside the lanes: the embedded server if it is one, what the lanes share, and the
// threads that keep the store in order and ask it for sessions.

import Delivery
import Drain
import EmbeddedPostgres
import LinuxSystem
import Logging
import Postgres
import SpillwayClient
import StoreSchema
import StoreWriter

/// A store in service. `init` starts it; it is stopped step by step, as the rest of the collector stops around it. Belongs to
/// one thread, like the collector.
final class StoreService {
    /// Whether the store may be used, and where it is.
    let availability: StoreAvailability
    /// What the lanes' sinks share.
    let context: DatabaseSink.Context
    private let embedded: EmbeddedServer?
    private let maintenance: MaintenanceThread
    private var maintenanceThread: NamedThread?
    private let lookup: SessionLookup
    private var lookupThread: NamedThread?

    /// Starts the server if it is an embedded one, makes the schema and starts the threads. A database that cannot be reached
    /// is tried again by the maintenance thread. Nil where records are discarded.
    ///
    /// - Parameter spillID: the identity of the spill, which says whose transactions of an earlier run are waited for.
    /// - Parameter inquiry: what the registry signals when it has questions.
    /// - Throws: why it cannot work: a server that does not start or a database that refuses. Nothing is left running then.
    init?(
        settings: CollectorSettings, environment: [String: String], spillID: UInt64?, registry: SessionRegistry,
        appended: AppendedSessions, inquiry: WakeEvent, giveUp: WakeEvent, log: Logger
    ) throws {
        let location: DatabaseLocation
        var embeddedDirectory: String?
        switch settings.database {
        case .discard: return nil
        case .server(let given):
            embedded = nil
            location = given
        case .embedded(let directory):
            let path = directory ?? EmbeddedServer.defaultDirectory(environment: environment)
            let server = try EmbeddedServer(
                directory: path, environment: environment, usesTimescale: settings.usesTimescale, logger: log)
            try server.start()
            embedded = server
            embeddedDirectory = path
            location = server.location
        }
        do {
            let availability = StoreAvailability(location, silenceMilliseconds: settings.databaseTimeoutSeconds * 1_000)
            // Without a directory of its own it shares the lock with all that have none.
            let fence = CommitFence(key: Int64(bitPattern: spillID ?? SourceIdentity.hash("\(location)")))
            let context = DatabaseSink.Context(
                availability: availability, fence: fence, bounds: settings.timeBounds,
                oldChunks: settings.timeBounds.past == nil ? nil : OldChunkBudget(), appended: appended,
                giveUp: giveUp, log: log)
            if let directory = embeddedDirectory, isInMemoryAlone(directory) {
                let line =
                    "the embedded database in \(directory) is on a file system in memory (tmpfs): a restart of the "
                    + "machine loses it; name a folder on a disk with --database embedded:DIR"
                availability.warn([line], of: "embedded")
                log.warning("\(line)")
            }
            self.availability = availability
            self.context = context
            maintenance = try MaintenanceThread(
                availability: availability, appended: appended, fence: fence, embedded: embedded,
                usesTimescale: settings.usesTimescale,
                daysAhead: settings.daysAhead, policies: settings.policies, directCompress: settings.directCompress,
                indexes: settings.indexes, log: log)
            lookup = SessionLookup(registry: registry, wake: inquiry) { DatabaseSink(name: "sessions", context) }
            try start(log)
        } catch {
            embedded?.stop()
            throw error
        }
    }

    private func start(_ log: Logger) throws {
        do throws(DatabaseError) {
            try maintenance.applySchema()
        } catch {
            guard error.isTransient else { throw error }
            availability.stayClosed(error)
            log.warning(
                "the database cannot be reached; records wait in memory and in the spill, and connecting is repeated: \(error)"
            )
        }
        let (maintenance, lookup) = (maintenance, lookup)
        maintenanceThread = try NamedThread(name: "maintenance") { maintenance.run() }
        do {
            lookupThread = try NamedThread(name: "sessions") { lookup.run() }
        } catch {
            stopMaintenance()
            throw error
        }
    }

    /// Changes policies of the tables while the collector runs.
    func change(_ policies: PolicyChanges) { maintenance.change(policies) }

    /// No connection waits for lookups any more.
    func stopLookups() {
        lookup.stop()
        lookupThread?.join()
        lookupThread = nil
    }

    /// Ends the housekeeping, and what starts an embedded server again.
    func stopMaintenance() {
        maintenance.stop()
        maintenanceThread?.join()
        maintenanceThread = nil
    }

    /// Ends an embedded server; nothing uses it any more.
    func stopServer() { embedded?.stop() }
}
