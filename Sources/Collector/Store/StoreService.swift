// All that a collector has of its database beside the lanes: the embedded server if it is one, what the lanes share, and the
// threads that keep the store in order and ask it for sessions.

import LinuxSystem
import Listeners
import Logging
import SpillwayClient
import TimescaleStore

/// A store in service. `init` starts it; it is stopped step by step, as the rest of the collector stops around it. Belongs to
/// one thread, like the collector.
final class StoreService {
    /// Whether the store may be used, and where it is.
    let gate: StoreGate
    private let fence: CommitFence
    private let embedded: EmbeddedServer?
    private let keeper: StoreKeeper
    private var keeperThread: NamedThread?
    private let inquirer: SessionInquirer
    private var inquirerThread: NamedThread?

    /// Starts the server if it is an embedded one, makes the schema and starts the threads. A database that cannot be reached
    /// is tried again by the keeper. Nil where records are discarded.
    ///
    /// - Parameter spillID: the identity of the spill, which says whose transactions of an earlier run are waited for.
    /// - Parameter inquiry: what the desk signals when it has questions.
    /// - Throws: why it cannot work: a server that does not start or a database that refuses. Nothing is left running then.
    init?(
        settings: CollectorSettings, environment: [String: String], spillID: UInt64?, desk: SessionDesk,
        appended: AppendedSessions, inquiry: WakeEvent, giveUp: WakeEvent, log: Logger
    ) throws {
        let location: DatabaseLocation
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
            location = server.location
        }
        do {
            let gate = StoreGate(location, silenceMilliseconds: settings.databaseTimeoutSeconds * 1_000)
            // Without a directory of its own it shares the lock with all that have none.
            let fence = CommitFence(key: Int64(bitPattern: spillID ?? SourceIdentity.hash("\(location)")))
            self.gate = gate
            self.fence = fence
            keeper = try StoreKeeper(
                gate: gate, appended: appended, fence: fence, embedded: embedded, usesTimescale: settings.usesTimescale,
                daysAhead: settings.daysAhead, policies: settings.policies, directCompress: settings.directCompress,
                indexes: settings.indexes, log: log)
            inquirer = SessionInquirer(desk: desk, wake: inquiry) {
                LaneSession(name: "sessions", target: .database(gate, fence), giveUp: giveUp, log: log)
            }
            try start(log)
        } catch {
            embedded?.stop()
            throw error
        }
    }

    private func start(_ log: Logger) throws {
        do throws(DatabaseError) {
            try keeper.applySchema()
        } catch {
            guard error.isTransient else { throw error }
            gate.stayClosed(error)
            log.warning(
                "the database cannot be reached; records wait in memory and in the spill, and connecting is repeated: \(error)"
            )
        }
        let (keeper, inquirer) = (keeper, inquirer)
        keeperThread = try NamedThread(name: "keeper") { keeper.run() }
        do {
            inquirerThread = try NamedThread(name: "sessions") { inquirer.run() }
        } catch {
            stopKeeping()
            throw error
        }
    }

    /// Changes policies of the tables while the collector runs.
    func change(_ policies: PolicyChanges) { keeper.change(policies) }

    /// Where lanes store.
    var target: LaneTarget { .database(gate, fence) }

    /// Nobody is there any more who waits for the answers.
    func stopAsking() {
        inquirer.stop()
        inquirerThread?.join()
        inquirerThread = nil
    }

    /// Ends the housekeeping, and what starts an embedded server again.
    func stopKeeping() {
        keeper.stop()
        keeperThread?.join()
        keeperThread = nil
    }

    /// Ends an embedded server; nothing uses it any more.
    func stopServer() { embedded?.stop() }
}
