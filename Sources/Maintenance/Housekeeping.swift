// What has to be done to a database from time to time, and by one collector only however many there are: the leader, who holds an
// advisory lock for as long as its session lives.

import MetricKinds
import Postgres
import StoreSchema

/// What a round of housekeeping did, one line each.
public struct HousekeepingReport: Equatable, Sendable {
    public internal(set) var done: [String] = []
    /// What could not be done and is tried again in the next round.
    public internal(set) var warnings: [String] = []
    /// Something of it needs a right that this user does not have.
    public internal(set) var isBarred = false
    /// Something else of it may work at the next time.
    public internal(set) var isTransient = false

    public init() {}
}

/// The leader's work. Used by one thread, outside of transactions.
public struct Housekeeping {
    private let connection: DatabaseConnection
    private let manager: SchemaManager

    public init(_ manager: SchemaManager) {
        connection = manager.connection
        self.manager = manager
    }

    /// Whether this session is the leader, which it becomes when there is none.
    public func isLeader() throws(DatabaseError) -> Bool { try Leadership.housekeeping.isHeld(by: connection) }

    /// Lets another session be the leader.
    public func stepDown() throws(DatabaseError) { try Leadership.housekeeping.stepDown(connection) }

    /// Drops what the policies say, where TimescaleDB has no job for it, and tends the ledger.
    ///
    /// - Throws: only when the connection is gone.
    public func run() throws(DatabaseError) -> HousekeepingReport {
        var report = HousekeepingReport()
        try attempt("old rows", &report) { report throws(DatabaseError) in try dropOldRows(&report) }
        try attempt("the ledger", &report) { report throws(DatabaseError) in
            let pruning = LedgerPruning(connection)
            var batches = 0
            while true {
                let moved = try pruning.moveBatches()
                if moved == 0 { break }
                batches += moved
            }
            if batches > 0 { report.done.append("\(batches) old batches of the ledger are ranges now") }
        }
        return report
    }

    private func dropOldRows(_ report: inout HousekeepingReport) throws(DatabaseError) {
        let schema = try manager.status()
        guard schema.tables.contains(where: { $0.policy != nil }) else {
            report.isBarred = true
            report.warnings.append("old rows are not dropped: this user may not read spillway.table_policies")
            return
        }
        let retention = Retention(connection, schema)
        let now = try retention.now(manager.now(), &report)
        for kind in SchemaSQL.kindsByTable {
            let table = SchemaSQL.table(kind)
            guard let found = schema.tables.first(where: { $0.name == table }), let after = found.policy?.dropAfter,
                found.layout != .hypertable || schema.server.flavour != .timescaleCommunity
            else { continue }
            let cutoff = now - after.microseconds
            try attempt(table, &report) { report throws(DatabaseError) in
                let expired = try retention.expired(kind, before: cutoff)
                var lines: [String] = []
                defer { report.done += lines }
                // An operator may decide otherwise while this is at work.
                let isWanted = { () throws(DatabaseError) in try manager.policies()?[kind]?.dropAfter == after }
                try retention.drop(kind, expired, before: cutoff, while: isWanted) { gone in
                    lines.append(
                        "dropped of \(table), older than \(after): "
                            + gone.map { $0.isRows ? "\($0.rows) rows of \($0.name)" : $0.name }.joined(separator: ", ")
                    )
                }
            }
        }
    }

    private func attempt(
        _ what: String, _ report: inout HousekeepingReport,
        _ body: (inout HousekeepingReport) throws(DatabaseError) -> Void
    ) throws(DatabaseError) {
        do throws(DatabaseError) {
            try body(&report)
        } catch {
            guard case .server = error.kind, connection.isUsable else { throw error }
            // Trying again soon would not help: the owner has to do it.
            if error.sqlstate == .insufficientPrivilege { report.isBarred = true } else { report.isTransient = true }
            report.warnings.append("\(what): \(error)")
        }
    }
}
