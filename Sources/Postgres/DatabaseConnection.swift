// One session with the database through libpq, non-blocking throughout, so that every wait has a deadline and can be
// interrupted by the stop event.
//
// Invariants:
// - `handle` is nil once the state of the session is unknown: after a timeout, a cancel or a lost connection. Closing
//   it is what tells the server to roll back; nothing is ever tried again on it.
// - Between two public calls the session is idle, in a transaction, or in the COPY that `beginCopy` opened.

import CPostgreSQL
import LinuxSystem

/// A connection for one thread. It is closed when it is released.
public final class DatabaseConnection {
    public let location: DatabaseLocation
    public let options: ConnectionOptions
    package let stop: WakeEvent?
    package let notices: NoticeForwarder
    package var handle: OpaquePointer?
    /// What errors say was being done.
    package var operation = "connecting"
    package var isCopying = false
    /// Whether a statement that gives no sign of life is ended.
    package var hasTimeLimit = true
    /// A pooler is between: each transaction may be in another session of the server. See `prepareSession`.
    public package(set) var isPooled = false
    /// Settings that are part of the request for the session, where it cannot begin without them.
    package var requestedSettings: String?
    /// Limits of time that each transaction sets for itself, first of all.
    package var transactionLimits: [SessionSettings.Setting] = []
    /// Expressions that make the settings of each transaction.
    package var transactionSettings: [String] = []
    /// The location itself says how durable a commit is, and it is durable on this server.
    package var isSynchronousCommitChosen = false

    /// Connects and makes the session's settings.
    ///
    /// - Parameters:
    ///   - stop: interrupts every wait as soon as it is signalled; it is never consumed here.
    ///   - onWarning: gets the server's warnings, on the thread that uses the connection.
    /// - Throws: `DatabaseError` of kind `.connectionFailed` or `.cancelled`.
    public init(
        _ location: DatabaseLocation, options: ConnectionOptions = ConnectionOptions(), stop: WakeEvent? = nil,
        onWarning: ((ServerReport) -> Void)? = nil
    ) throws(DatabaseError) {
        self.location = location
        self.options = options
        self.stop = stop
        notices = NoticeForwarder(onWarning)
        try open()
    }

    deinit { close() }

    /// False after a failure that left the session in an unknown state. Make a new connection then.
    public var isUsable: Bool { handle.map { PQstatus($0) == CONNECTION_OK } ?? false }

    /// Whether a transaction is open, a failed one too.
    public var isInTransaction: Bool {
        guard let handle else { return false }
        let status = PQtransactionStatus(handle)
        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE
    }

    /// The server's version, for example 150018.
    public var serverVersionNumber: Int { handle.map { Int(PQserverVersion($0)) } ?? 0 }

    /// Ends the session. The server rolls back what was not committed.
    public func close() {
        if let handle { PQfinish(handle) }
        handle = nil
        isCopying = false
    }

    /// The handle, for a call that needs a living session.
    package func usableHandle() throws(DatabaseError) -> OpaquePointer {
        guard let handle else { throw error(.connectionLost(reason: "closed after an earlier failure")) }
        return handle
    }

    package func error(_ kind: DatabaseError.Kind) -> DatabaseError {
        DatabaseError(kind, location: location.description, operation: operation)
    }
}
