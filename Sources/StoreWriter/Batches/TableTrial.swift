// Whether a table takes a row, for an operator who asks.

import Delivery
import MetricKinds
import Postgres

public enum TableTrial {
    /// Sends a row that has only its time, and takes it back.
    ///
    /// - Returns: why the table refuses it; nil when it does not. With `refusingKind` where it refuses whatever is sent.
    public static func refusal(
        _ kind: MetricKind, _ connection: DatabaseConnection
    ) throws(DatabaseError) -> DatabaseError? {
        do throws(DatabaseError) {
            try connection.begin()
            try TableCheck.run(KindSet(kind), connection)
            try connection.copy(into: kind) { () throws(DatabaseError) in
                try connection.sendCopyData(AcceptedRows.empty(kind))
            }
            try connection.rollback()
            return nil
        } catch {
            guard connection.isUsable else { throw error }
            try connection.rollback()
            return error
        }
    }
}
