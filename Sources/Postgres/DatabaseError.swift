// Why something with the database did not work, and whether it may work later.

import MetricKinds

/// A failed connection, statement, wait or setting. Never holds a password.
public struct DatabaseError: Error, Equatable, Sendable {
    /// What went wrong.
    public enum Kind: Equatable, Sendable {
        /// The URL or connection string says nothing that can be used.
        case invalidLocation(reason: String)
        /// No connection came about. The code is nil when no server answered.
        case connectionFailed(sqlstate: SQLState?, reason: String)
        /// The connection was there and is gone.
        case connectionLost(reason: String)
        /// The server refused a statement.
        case server(ServerReport)
        /// The server made no progress for so long.
        case timedOut(milliseconds: Int)
        /// COMMIT took effect on this server, with a warning of the server's: a standby may not have it.
        case commitInDoubt(ServerReport)
        /// The stop event was signalled.
        case cancelled
        /// A parameter that PostgreSQL cannot take.
        case invalidParameter(reason: String)
        /// The server answered with something that does not belong here.
        case unexpectedReply(reason: String)
        /// The database was set up by a later version of the program.
        case schemaTooNew(found: Int, known: Int)
        /// Frames of the batch are stored already, by another collector: what the database has of their sessions is to be
        /// asked for again.
        case framesStoredBefore
        /// All of the batch is stored already, by another attempt at it.
        case batchStoredBefore
        /// A trigger or a rule of a table kept rows out of it, or in it, without an error.
        case suppressed(table: String, rows: Int)
        /// A table has not the columns that its rows are made for.
        case tableDiffers(reason: String)
    }

    public let kind: Kind
    /// Which server, database and user: `DatabaseLocation.description`.
    public let location: String
    /// What was being done, for example `COPY metrics.routing_metrics`.
    public let operation: String
    /// True when COMMIT was sent and its answer did not come: the transaction may be in the database or not.
    public package(set) var isCommitOutcomeUnknown = false
    /// The kind whose table refuses whatever is sent to it. The other tables' rows can be stored without its rows.
    public package(set) var refusingKind: MetricKind?

    public init(_ kind: Kind, location: String, operation: String) {
        self.kind = kind
        self.location = location
        self.operation = operation
    }

    /// Whether the same thing may succeed later without anybody changing anything.
    public var isTransient: Bool {
        switch kind {
        case .server(let report): report.sqlstate.isTransient
        case .connectionFailed(let sqlstate, _): sqlstate?.isTransient ?? true
        case .connectionLost, .commitInDoubt, .timedOut, .cancelled, .framesStoredBefore, .batchStoredBefore: true
        case .invalidLocation, .invalidParameter, .unexpectedReply, .schemaTooNew, .tableDiffers, .suppressed: false
        }
    }

    /// The server's code, if a server said anything.
    public var sqlstate: SQLState? {
        switch kind {
        case .server(let report): report.sqlstate
        case .connectionFailed(let sqlstate, _): sqlstate
        default: nil
        }
    }

    /// The row of the COPY that the server refused, counted from 1.
    public var copyLine: Int? {
        if case .server(let report) = kind { return report.copyLine }
        return nil
    }
}
