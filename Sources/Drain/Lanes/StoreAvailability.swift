// Lets lanes through to the database once its schema is there, and tells them where it is.

import Postgres
import StoreSchema
import Synchronization

/// Where the database is, and whether it can be used yet. Safe from any thread.
package final class StoreAvailability: Sendable {
    private struct State {
        var location: DatabaseLocation
        /// Why the lanes must wait; nil when they need not.
        var closed: DatabaseError?
        /// What the server is, once it was asked.
        var identity: ServerIdentity?
        /// Rows are to be compressed while they come in, where the server can do it.
        var directCompress = false
        /// Of the tables and their names.
        var schemaWarnings: [String] = []
        /// Of what can lose what was acknowledged.
        var durabilityWarnings: [String] = []
        /// Indexes that were asked for and could not be made.
        var indexWarnings: [String] = []
        /// Of what is done from time to time, by its name.
        var jobWarnings: [String: [String]] = [:]
        /// Why the server did not answer when it was last asked.
        var silence: String?
        /// A lane found that something of the schema may be missing.
        var wantsRepair = false
        /// Why the schema could not be repaired.
        var repairFailure: String?
    }

    private let state: Mutex<State>
    /// How long the server may make no progress.
    private let silenceMilliseconds: Int

    package init(_ location: DatabaseLocation, silenceMilliseconds: Int) {
        self.silenceMilliseconds = silenceMilliseconds
        state = Mutex(
            State(
                location: location,
                closed: DatabaseError(
                    .connectionFailed(sqlstate: nil, reason: "the schema was not looked at yet"),
                    location: location.description, operation: "connecting")))
    }

    /// The location for a lane.
    ///
    /// - Throws: why the schema is not there.
    package func location() throws(DatabaseError) -> DatabaseLocation {
        let (location, closed) = state.withLock { ($0.location, $0.closed) }
        if let closed { throw closed }
        return location
    }

    /// The location for the one who makes the schema.
    package var openLocation: DatabaseLocation { state.withLock { $0.location } }

    /// How the collector's connections behave.
    package func options(_ name: String) -> ConnectionOptions {
        var options = ConnectionOptions(applicationName: "spillway \(name)", isForWriting: true)
        options.silenceTimeoutMilliseconds = silenceMilliseconds
        return options
    }

    package var isOpen: Bool { state.withLock { $0.closed == nil } }
    package var identity: ServerIdentity? { state.withLock { $0.identity } }
    package var schemaWarnings: [String] { state.withLock { $0.schemaWarnings } }
    package var durabilityWarnings: [String] { state.withLock { $0.durabilityWarnings } }
    package var warnings: [String] {
        state.withLock { state in
            state.durabilityWarnings + state.schemaWarnings + state.indexWarnings
                + (state.repairFailure.map { ["the schema is not complete and cannot be repaired: \($0)"] } ?? [])
                + state.jobWarnings.sorted { $0.key < $1.key }.flatMap(\.value).filter {
                    !state.schemaWarnings.contains($0)
                }
        }
    }
    /// Why the database cannot be used now: no schema yet, or no answer.
    package var reason: String? { state.withLock { $0.closed.map { "\($0)" } ?? $0.silence } }

    /// Whether the lanes' sessions compress rows while they come in.
    package var compressesDirectly: Bool {
        state.withLock { $0.directCompress && $0.identity?.compressesDirectly == true }
    }

    package func open(_ identity: ServerIdentity, directCompress: Bool) {
        state.withLock {
            $0.closed = nil
            $0.identity = identity
            $0.directCompress = directCompress
        }
    }

    /// Something of the schema may be missing: the maintenance thread compares it with what it must be, and makes what is not there.
    package func requestRepair() { state.withLock { $0.wantsRepair = true } }

    /// The outcome of a repair; nil when the schema is complete.
    package func repaired(_ failure: DatabaseError?) { state.withLock { $0.repairFailure = failure.map { "\($0)" } } }

    /// Whether that was requested since this was asked.
    package func takeRepairRequest() -> Bool {
        state.withLock { state in
            defer { state.wantsRepair = false }
            return state.wantsRepair
        }
    }

    package func stayClosed(_ error: DatabaseError) { state.withLock { if $0.closed != nil { $0.closed = error } } }

    /// What came of asking the server; nil when it answered.
    package func asked(_ silence: DatabaseError?) { state.withLock { $0.silence = silence.map { "\($0)" } } }

    /// The server was started again somewhere else.
    package func move(to location: DatabaseLocation) { state.withLock { $0.location = location } }

    package func warn(_ warnings: [String]) { state.withLock { $0.schemaWarnings = warnings } }
    package func warnOfIndex(_ warning: String) { state.withLock { $0.indexWarnings.append(warning) } }
    package func warnOfDurability(_ warnings: [String]) { state.withLock { $0.durabilityWarnings = warnings } }

    /// Replaces what a job has to say; empty when all of it was done.
    package func warn(_ warnings: [String], of job: String) {
        state.withLock { $0.jobWarnings[job] = warnings.isEmpty ? nil : warnings }
    }
}
