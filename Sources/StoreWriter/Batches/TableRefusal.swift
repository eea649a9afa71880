// Whether a COPY failed on a row, on its table, or for the moment.
//
// A refused row becomes a dead letter and the others are stored. A refused table gets no row until a trial succeeds, and its
// records wait in the spill. What decides is where the error came from: before any row, or in a row and by its class.

import MetricKinds
import Postgres
import StoreSchema

extension DatabaseError {
    /// Whether the server refused what a row says, so that the other rows can be stored without it: data exceptions (22),
    /// violated constraints (23), program limits such as an index row that is too long (54), what the row's chunk does
    /// not support (0A), and errors that a trigger or function raises (P0).
    package var isAboutRows: Bool {
        guard case .server(let report) = kind, !report.endsSession else { return false }
        // The row's partition is being made. The name is not translated.
        guard !report.message.contains(PartitionAttachment.constraintName) else { return false }
        return ["22", "23", "54", "0A", "P0"].contains(String(report.sqlstate.errorClass))
    }

    /// The same error of a COPY, with the kind whose table refuses everything if that is what it says.
    ///
    /// - Parameter hasBegun: rows were sent.
    package func attributed(to kind: MetricKind, hasBegun: Bool) -> DatabaseError {
        guard case .server(let report) = self.kind, !report.endsSession, !isOfTheMoment(report) else { return self }
        let isAboutARow = hasBegun && isAboutRows
        var error = self
        if !isAboutARow { error.refusingKind = kind }
        return error
    }

    /// Conflicts, cancellations and exhausted resources say nothing about the table. A lock that did not come in time does: its
    /// rows wait for whoever holds it, and the other tables' rows need not.
    private func isOfTheMoment(_ report: ServerReport) -> Bool {
        report.sqlstate.isTransient && report.sqlstate != .lockNotAvailable
            || report.message.contains(PartitionAttachment.constraintName)
    }
}

extension DatabaseError {
    /// Whether something that `SchemaManager.apply` makes may be missing: a table, a column, a schema or a function.
    package var maySchemaBeIncomplete: Bool {
        switch kind {
        case .tableDiffers: true
        case .server(let report):
            [.undefinedTable, .invalidSchemaName, .undefinedColumn, .undefinedFunction, .undefinedObject]
                .contains(report.sqlstate) || report.isMissingPartition
        default: false
        }
    }
}

extension ServerReport {
    /// No partition takes the row, not even a default one: a check violation without a constraint.
    package var isMissingPartition: Bool { sqlstate == .checkViolation && constraint == nil }

    /// What two refusals for the same cause have in common. A function's own words may name the row; its place does not.
    package var cause: String {
        let place = context?.split(separator: "\n").first { !$0.hasPrefix("COPY ") }
        return "\(sqlstate) \(constraint ?? place.map(String.init) ?? message)"
    }
}
