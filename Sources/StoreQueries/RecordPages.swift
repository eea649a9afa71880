// The records of an answer, fetched piece by piece through a cursor of the server and one by one from it, so that memory is
// bounded by the largest record: a few stored bytes may be megabytes as text.

import Postgres
import StoreSchema

/// An answer that is read once, from its newest record on. The connection has a transaction open for it until the last
/// record was read, or until this is released.
public final class RecordPages {
    /// Records that one statement, with its limit of time, fetches.
    public static let pageRecords = 1_000
    private static let cursor = "spillway_records"

    private let connection: DatabaseConnection
    private let query: RecordQuery
    private var isOpen = true

    /// Ends the transaction too when it throws: `deinit` runs then.
    ///
    /// - Precondition: a transaction is open.
    init(_ connection: DatabaseConnection, _ query: RecordQuery) throws(DatabaseError) {
        self.connection = connection
        self.query = query
        var parameters = SQLParameters()
        let select = query.sql(&parameters)
        try connection.query(
            "DECLARE \(Self.cursor) NO SCROLL CURSOR FOR \(select)", parameters.values, operation: operation)
    }

    deinit {
        guard isOpen else { return }
        // Nobody is there to tell. A connection whose state is not known is of no use any more.
        do { try connection.rollback() } catch { connection.close() }
    }

    private var operation: String { "reading \(SchemaSQL.table(query.scope.kind))" }

    /// Gives the records to `body` one by one.
    ///
    /// - Parameter body: says whether it wants more. If not, the connection is closed.
    public func forEach(_ body: (RecordRow) -> Bool) throws(DatabaseError) {
        while isOpen {
            var isWrong = false
            let count = try connection.query(
                "FETCH FORWARD \(Self.pageRecords) FROM \(Self.cursor)", operation: operation
            ) { row in
                guard let record = query.row(row) else {
                    isWrong = true
                    return false
                }
                return body(record)
            }
            if isWrong {
                throw connection.error(.unexpectedReply(reason: "a row that is no \(query.scope.kind.name) record"))
            }
            guard connection.isUsable else {
                isOpen = false
                return
            }
            if count == 0 {
                isOpen = false
                try connection.commit()
            }
        }
    }
}
